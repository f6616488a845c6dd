"""A private server for the demo: own folders, own port, and nothing left when it ends."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from datarun_ext.client import Client, ClientError, NotDatarun
from datarun_ext.config import option_docs

START_S = 90.0
STOP_S = 20.0
TAIL_LINES = 30
PR_SET_PDEATHSIG = 1

ELSEWHERE = (
    "data_dir",
    "runtime_dir",
    "dataset_dir",
    "submission_dir",
    "database_url",
    "database_name",
    "broker_url",
    "rabbitmq_vhost",
    "redis_url",
    "runner_token",
    "local_runner",
    "working_env",
)
"""Options that would make the private server use, or be, somebody else's."""


class DemoFailed(Exception):
    """A part of the demo failed."""

    def __init__(self, part: str, why: str, remedy: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.why = why
        self.remedy = remedy


class DemoServer:
    """Starts `jupyter datarun` in a temporary folder; ends it and removes the folder.

    Attributes
    ----------
    folder : Path
        Everything that the server writes is below it.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="datarun-demo-"))
        (self.folder / "tmp").mkdir()
        self._keep = keep
        self._token = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        return self.folder / "server.log"

    def tail(self) -> str:
        """Return the last lines of the server's log."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-TAIL_LINES:])

    def start(self) -> Client:
        """Start the server; return a client once it can train folds.

        Raises
        ------
        DemoFailed
            If it ends, or is not ready in time.
        """
        command = [
            sys.executable,
            "-c",
            # Not `-m`: Jupyter tells an extension by the module of its class.
            "from datarun_ext.app import main; main()",
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={_free_port()}",
            f"--ServerApp.root_dir={self.folder}",
        ]
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        end = time.monotonic() + START_S
        client = self._connect(end)
        self._ready(client, end)
        return client

    def environ(self) -> dict[str, str]:
        """Return the environment in which the server, and commands for it, run."""
        environ = dict(os.environ)
        for option in option_docs():
            if option.name in ELSEWHERE:
                for variable in option.variables:
                    environ.pop(variable, None)
        environ.update(
            JUPYTER_TOKEN=self._token,
            JUPYTER_RUNTIME_DIR=str(self.folder / "run"),
            JUPYTER_DATA_DIR=str(self.folder / "share"),
            JUPYTER_CONFIG_DIR=str(self.folder / "etc"),
            JUPYTER_NO_CONFIG="1",
            TMPDIR=str(self.folder / "tmp"),
            PYTHONUNBUFFERED="1",
        )
        return environ

    def _connect(self, end: float) -> Client:
        assert self._process is not None
        info = self.folder / "run" / f"jpserver-{self._process.pid}.json"
        while True:
            try:
                url = str(json.loads(info.read_text())["url"])
                break
            except (FileNotFoundError, ValueError):
                self._check(end)
        return Client(url, token=self._token)

    def _ready(self, client: Client, end: float) -> None:
        problems = ""
        while True:
            try:
                health = client.health()
            except NotDatarun as error:
                raise DemoFailed(
                    "server",
                    "Jupyter's server runs, but could not load datarun",
                    "Correct what the log names; `datarun doctor` checks the configuration.",
                ) from error
            except ClientError as error:
                problems = str(error)
            else:
                if health.status != "starting" and health.slots > 0:
                    return
                problems = "; ".join(f"{p.part}: {p.message}" for p in health.problems)
            self._check(end, problems)

    def _check(self, end: float, problems: str = "") -> None:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise DemoFailed(
                "server", f"it ended with exit code {code}", "Run `datarun doctor`; see the log."
            )
        if time.monotonic() > end:
            why = f"it was not ready after {START_S:.0f} s. {problems}".strip()
            raise DemoFailed("runner" if problems else "server", why, "Run `datarun doctor`.")
        time.sleep(0.1)

    def stop(self) -> None:
        """End the server and all that it started, and remove its folder."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """Have the kernel end the server when the demo is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
