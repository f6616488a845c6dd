"""A private master with a runner, for a benchmark."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from datarun_ext.client import Client


@dataclass(frozen=True)
class Server:
    """A running master."""

    url: str
    token: str
    pid: int
    folder: Path

    def client(self) -> Client:
        """Return a client of it."""
        return Client(self.url, token=self.token)


@contextmanager
def server(slots: int = 2) -> Iterator[Server]:
    """Start a master in a folder of its own; end it, and what it started, afterwards."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="datarun-bench-") as name:
        folder = Path(name)
        environ = dict(
            os.environ,
            DATARUN_DATA_DIR=f"{name}/data",
            DATARUN_RUNTIME_DIR=f"{name}/run",
            DATARUN_SLOTS=str(slots),
            JUPYTER_RUNTIME_DIR=f"{name}/jupyter",
            JUPYTER_NO_CONFIG="1",
        )
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from datarun_ext.app import main; main()"]
                + ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
                + [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"]
                + [f"--ServerApp.root_dir={name}"],
                env=environ,
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}/"
        try:
            _wait(url, process)
            yield Server(url, token, process.pid, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            requests.get(f"{url}runapp/user/me/", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server does not start")
