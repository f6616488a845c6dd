from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from datarun_ext.client import Client

START_S = 60.0


class LiveServer:
    """A real `jupyter datarun` with a real Redis and a real runner."""

    def __init__(self, folder: Path, *, base_url: str = "/", **options: str) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.base_url = base_url
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_url}"

    @property
    def environ(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if "DATARUN" not in name}
        return mine | {
            "DATARUN_DATA_DIR": str(self.folder / "data"),
            "DATARUN_RUNTIME_DIR": str(self.folder / "run"),
            "DATARUN_SLOTS": "2",
            "JUPYTER_RUNTIME_DIR": str(self.folder / "jupyter-run"),
            "JUPYTER_CONFIG_DIR": str(self.folder / "etc"),
            "JUPYTER_NO_CONFIG": "1",
            **self.options,
        }

    def start(self) -> LiveServer:
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from datarun_ext.app import main; main()",
                "--no-browser",
                "--allow-root",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={self.port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.base_url={self.base_url}",
                f"--ServerApp.root_dir={self.folder}",
                f"--IdentityProvider.token={self.token}",
            ],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                requests.get(f"{self.url}runapp/user/me/", timeout=5)
            except requests.ConnectionError:
                assert self.process.poll() is None, self.log()
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(self.log())

    def client(self) -> Client:
        return Client(self.url, token=self.token)

    def add_user(self, name: str, password: str, *flags: str) -> None:
        subprocess.run(
            [sys.executable, "-c", "from datarun_ext.cli import main; main()"]
            + ["user", "add", name, "--password-stdin", *flags],
            env=self.environ,
            input=password.encode(),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def runner(self) -> psutil.Process:
        """The main process of the embedded runner."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            if "celery_app" in " ".join(child.cmdline()):
                return child
        raise AssertionError("no runner")

    def log(self) -> str:
        text = ""
        for path in (self.folder / "server.log", self.folder / "data" / "logs" / "runner.log"):
            if path.exists():
                text += f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}\n"
        return text

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def gone(processes: list[psutil.Process], within: float = 15.0) -> list[psutil.Process]:
    """Wait for processes to end; return those that have not."""
    return psutil.wait_procs(processes, timeout=within)[1]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests that do not harm it."""
    server = LiveServer(tmp_path_factory.mktemp("live"), base_url="/user/me%40here/").start()
    server.add_user("ramp", "pass word", "--superuser", "--email", "ramp@example.org")
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server of the test's own, to be harmed."""
    server = LiveServer(tmp_path, DATARUN_LEASE_S="15", DATARUN_HEARTBEAT_S="5").start()
    yield server
    children = server.children() if server.process and server.process.poll() is None else []
    server.stop()
    assert not gone(children), server.log()
