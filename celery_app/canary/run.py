"""Lay out secrets, run the canary on them, and judge what it brings back."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from celery_app.execution import Order
from celery_app.zygote.client import Zygote
from datarun_ext.protocol import Limits, SandboxLevel

CODE = "/job/code/canary"
DATA = "/job/prepared"
_SUBMISSION = Path(__file__).with_name("submission.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One thing that the canary tried.

    Attributes
    ----------
    name : str
        Which attempt, e.g. ``read_test_labels``.
    succeeded : bool
        Whether it got what it wanted: a hole in the sandbox.
    detail : str
        What it got, or why it was refused.
    """

    name: str
    succeeded: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """Everything that the canary tried, and the level at which it was held."""

    level: SandboxLevel
    attempts: tuple[Attempt, ...]

    @property
    def holes(self) -> tuple[Attempt, ...]:
        """The attempts that succeeded; none may at level ``full``."""
        return tuple(attempt for attempt in self.attempts if attempt.succeeded)


def run_canary(zygote: Zygote) -> CanaryReport:
    """Return what a hostile submission could do on this zygote.

    Raises
    ------
    OSError
        If the canary could not run to its end.
    """
    secret = secrets.token_hex(16)
    with _scene(secret) as scene:
        verdict = zygote.run(scene.order, lambda _sign: True)
        if scene.reached.is_set():
            scene.reached.clear()
            reached = True
        else:
            reached = False
        spoiled = scene.spoiled()
    output = verdict.output("value")
    if verdict.reason is not None or output is None:
        msg = f"the canary did not come to its end: {verdict.reason}: {verdict.detail}"
        raise OSError(msg)
    told = json.loads(output.data)
    attempts = [
        Attempt(name=name, succeeded=bool(got), detail=str(detail)[:300])
        for name, (got, detail) in told.items()
    ]
    # What it cannot be believed about is seen from here.
    attempts.append(
        Attempt(name="seen_network", succeeded=reached, detail="a connection reached the runner")
    )
    attempts.append(
        Attempt(name="seen_change", succeeded=bool(spoiled), detail=", ".join(spoiled) or "none")
    )
    return CanaryReport(level=zygote.level, attempts=tuple(attempts))


@dataclass(slots=True)
class _Scene:
    order: Order
    folder: Path
    before: dict[str, tuple[int, int, bytes]]
    reached: threading.Event

    def spoiled(self) -> list[str]:
        """Return which of the laid out files were changed."""
        after = _look(self.folder)
        return sorted(
            name for name in {*self.before, *after} if self.before.get(name) != after.get(name)
        )


@contextlib.contextmanager
def _scene(secret: str) -> Iterator[_Scene]:
    folder = Path(tempfile.mkdtemp(prefix="datarun-canary-"))
    folder.chmod(0o755)
    reached = threading.Event()
    try:
        code, data, other = folder / "canary", folder / "prepared", folder / "other"
        for place in (code, data, other):
            place.mkdir()
        shutil.copyfile(_SUBMISSION, code / "submission.py")
        (data / "X_train.npy").write_bytes(b"inputs that a fold may read")
        # Readable by all on purpose: not the mode of the file may protect it, the sandbox must.
        (folder / "y_test.npy").write_text(f"labels {secret}")
        (other / "classifier.py").write_text(f"# another submission {secret}")
        (folder / "token").write_text(f"credential {secret}")
        with _listeners(folder, reached) as ports:
            arguments = {
                "code": CODE,
                "module": "submission",
                "function": "attack",
                "secret": secret,
                "labels": str(folder / "y_test.npy"),
                "other": str(other / "classifier.py"),
                "token": str(folder / "token"),
                "data": DATA,
                "runner_pid": os.getpid(),
                **ports,
            }
            order = Order(
                key="canary",
                program="probe:probe",
                arguments=arguments,
                readonly={CODE: str(code), DATA: str(data)},
                code=CODE,
                limits=Limits(soft_s=60, hard_s=90, memory_mb=1024, processes=64, disk_mb=16),
            )
            yield _Scene(order, folder, _look(folder), reached)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _listeners(folder: Path, reached: threading.Event) -> Iterator[dict[str, object]]:
    """Open what the canary would like to talk to."""
    name = f"datarun-canary-{os.getpid()}"
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    path = socket.socket(socket.AF_UNIX)
    path.bind(str(folder / "s"))
    (folder / "s").chmod(0o777)
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{name}")
    for server in (path, abstract):
        server.listen()
    sockets = (tcp, udp, path, abstract)
    stop = threading.Event()

    def watch() -> None:
        import select

        while not stop.is_set():
            if select.select(sockets, [], [], 0.05)[0]:
                reached.set()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield {
            "tcp_port": tcp.getsockname()[1],
            "udp_port": udp.getsockname()[1],
            "socket": str(folder / "s"),
            "abstract": name,
        }
    finally:
        stop.set()
        thread.join()
        for server in sockets:
            server.close()


def _look(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            facts = path.stat()
            found[str(path.relative_to(folder))] = (
                facts.st_mode,
                facts.st_mtime_ns,
                path.read_bytes(),
            )
    return found
