"""What the tests of the zygote share."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from celery_app.execution import OnSign, Order, Sign, Verdict
from celery_app.zygote.client import Zygote
from celery_app.zygote.processes import family
from datarun_ext.protocol import Limits, SandboxLevel

CODE = "/job/sub"
DATA = "/job/data"
QUICK = {"soft_s": 0.8, "hard_s": 1.6, "memory_mb": 256, "processes": 48, "disk_mb": 20}


def public_folder() -> Path:
    """Make a folder that any user may read: a fold is nobody when the runner is root."""
    folder = Path(tempfile.mkdtemp(prefix="datarun-test-"))
    folder.chmod(0o755)
    return folder


def ignore(_sign: Sign) -> bool:
    return True


class Bench:
    """Runs small submissions on one zygote."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self.zygote = zygote
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "X.npy").write_bytes(b"inputs")
        self._count = 0

    def order(
        self, code: str, *, output_bytes: int = 10**6, threads: int = 1, **limits: Any
    ) -> Order:
        self._count += 1
        # Named like the place inside: compiled files and tracebacks bear the name.
        sub = self.folder / str(self._count) / "sub"
        sub.mkdir(parents=True)
        (sub / "m.py").write_text(code)
        return Order(
            key=f"test-{self._count}",
            program="probe:probe",
            arguments={"code": CODE, "module": "m", "function": "main"},
            readonly={CODE: str(sub), DATA: str(self.data)},
            code=CODE,
            limits=Limits(**{**QUICK, **limits}),
            threads=threads,
            output_bytes=output_bytes,
        )

    def run(self, code: str, on_sign: OnSign = ignore, **how: Any) -> Verdict:
        return self.zygote.run(self.order(code, **how), on_sign)

    def at_rest(self) -> int:
        """Return how many processes there are when nothing runs: with the spare and its init."""
        return 5 if self.zygote.level is SandboxLevel.FULL else 3

    def survivors(self, seconds: float = 3.0) -> list[str]:
        """Return the processes that are left although nothing runs; waits for their end."""
        assert self.zygote.pid is not None
        deadline = time.monotonic() + seconds
        while True:
            left = family([self.zygote.pid])
            if len(left) == self.at_rest():
                return []
            if time.monotonic() > deadline:
                return [describe(pid) for pid in left]
            time.sleep(0.02)


def describe(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:60]
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return f"{pid} (gone)"
    return f"{pid} {state} {command!r}"


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pids: list[int], seconds: float = 3.0) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [describe(pid) for pid in left]


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a folder with its mode and content."""
    return {
        os.path.relpath(path, folder): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
