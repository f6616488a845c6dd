"""Starting a warden, at the best level of isolation that this machine allows."""

from __future__ import annotations

import json
import logging
import os
import select
import site
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery_app
from celery_app.sandbox import landlock
from celery_app.zygote.folders import remove_tree
from datarun_ext.protocol import SandboxLevel

logger = logging.getLogger(__name__)

LEVELS = (SandboxLevel.FULL, SandboxLevel.LANDLOCK, SandboxLevel.LIMITS)
SOCKET = "zygote.sock"
DETAILS = "level.json"

_START_S = 120.0
_END_S = 10.0
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class SandboxTooWeak(OSError):  # noqa: N818
    """This machine cannot isolate folds as well as the operator demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a zygote is started with: see `Zygote.start`."""

    cache_dir: Path
    minimum_level: SandboxLevel
    max_slots: int
    level: SandboxLevel | None
    extra_paths: tuple[str, ...]
    folds_per_zygote: int


@dataclass(slots=True)
class Launched:
    """A running warden, which leaves and takes everything along when `report` is closed."""

    warden: subprocess.Popen[bytes]
    report: int
    path: Path
    homes: Path
    level: SandboxLevel

    def end(self) -> None:
        """End the warden and all that it has started."""
        os.close(self.report)
        self.warden.terminate()
        try:
            self.warden.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.warden.kill()
            self.warden.wait()
        for folder in (self.path.parent, self.homes):
            remove_tree(os.fspath(folder))


def launch(start: Start) -> tuple[Launched, dict[SandboxLevel, str]]:
    """Start a warden at the best level; returns it, and why each better level is not available.

    Raises
    ------
    SandboxTooWeak
        If the level would be below the minimum.
    OSError
        If no level works.
    """
    degraded: dict[SandboxLevel, str] = {}
    for level in LEVELS if start.level is None else (start.level,):
        found = _try_level(level, start)
        if isinstance(found, Launched):
            break
        degraded[level] = found
        logger.warning("sandbox level %s is not available: %s", level, found)
    else:
        msg = f"no sandbox could be started ({_reasons(degraded)})"
        raise OSError(msg)
    if LEVELS.index(found.level) > LEVELS.index(start.minimum_level):
        found.end()
        msg = (
            f"this machine isolates folds at level {found.level} only, the operator demands "
            f"{start.minimum_level} ({_reasons(degraded) or 'as asked'}); allow user namespaces "
            "and Landlock here, or lower the minimum level for trusted users"
        )
        raise SandboxTooWeak(msg)
    return found, degraded


def _reasons(degraded: dict[SandboxLevel, str]) -> str:
    return "; ".join(f"{level}: {why}" for level, why in degraded.items())


def _try_level(level: SandboxLevel, start: Start) -> Launched | str:
    if level is SandboxLevel.LANDLOCK and landlock.abi() == 0:
        return "the kernel has no Landlock"
    folder, homes = _private_folder("datarun-"), _private_folder("datarun-folds-")
    # A fold that runs as nobody must get to its own folder; it cannot list those of others.
    homes.chmod(0o711)
    path = folder / SOCKET
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.fspath(path))
        listener.listen(8 * start.max_slots + 8)
        config = {
            "parent": os.getpid(),
            "report": writing,
            "listener": listener.fileno(),
            "socket": os.fspath(path),
            "folder": os.fspath(folder),
            "homes": os.fspath(homes),
            "cache_dir": os.fspath(start.cache_dir),
            "level": str(level),
            "extra_paths": list(start.extra_paths),
            "folds_per_zygote": start.folds_per_zygote,
        }
        (folder / DETAILS).write_text(json.dumps({"level": level}), encoding="utf-8")
        warden = subprocess.Popen(
            [sys.executable, "-P", "-m", "celery_app.zygote", json.dumps(config)],
            stdin=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            pass_fds=(writing, listener.fileno()),
        )
    os.close(writing)
    launched = Launched(warden, reading, path, homes, level)
    answer = _read_report(reading)
    if answer.get("ready"):
        return launched
    launched.end()
    return str(answer.get("failed") or "the zygote did not start")


def _private_folder(prefix: str) -> Path:
    # A socket's path may have 107 bytes only: too few for most cache folders.
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = runtime if runtime and os.access(runtime, os.W_OK) else tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix=prefix, dir=base))


def _environment() -> dict[str, str]:
    """Return a clean environment: no secret of the runner may be in the zygote."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    root = os.path.dirname(os.path.dirname(os.path.abspath(celery_app.__file__)))
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        kept["PYTHONPATH"] = root
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **kept,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        # One thread each: a pool of threads would not survive the fork.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _read_report(descriptor: int) -> dict[str, Any]:
    deadline = time.monotonic() + _START_S
    data = b""
    while not data.endswith(b"\n"):
        wait = deadline - time.monotonic()
        if wait <= 0 or not select.select([descriptor], [], [], wait)[0]:
            return {"failed": f"the zygote was not ready within {_START_S:g} s"}
        piece = os.read(descriptor, 4096)
        if not piece:
            return {"failed": "the zygote ended while it was being set up"}
        data += piece
    answer: dict[str, Any] = json.loads(data.splitlines()[0])
    return answer
