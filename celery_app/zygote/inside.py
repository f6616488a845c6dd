"""A fold's process: lock everything, run one program, say what came of it.

After the lock, user code owns this process. Nothing that is said from here on is trusted.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn

from celery_app.sandbox import libc
from celery_app.sandbox.layout import FOLD
from celery_app.zygote import wire
from celery_app.zygote.faults import describe

CONTROL = 3
FAULTS = 4
FIRST_FREE = 5

_PROGRAMS = "celery_app.programs"
_PIECE = 1 << 20
_THREAD_VARIABLES = (
    "LOKY_MAX_CPU_COUNT",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


_REHEARSED = json.dumps({"a": [1, 2.5, None, True], "b": {"c": "d" * 200, "e": "\n"}})
_NO_MODULE = "datarun_rehearsal"
_MODULE = """
import time
class Classifier:
    def __init__(self): self.x = [1, 2.0, "three"]
    def fit(self, X, y): return [x + 1 for x in X if x not in y]
"""


class SoftTimeLimitExceeded(Exception):  # noqa: N818
    """Raised in a submission's main thread when its soft time limit has passed."""

    def __init__(self) -> None:
        super().__init__("Soft Time Limit Exceeded")


class _Context:
    """What a program sees of its sandbox: see `celery_app.execution.Context`."""

    def __init__(self, arguments: Mapping[str, Any], paths: Mapping[str, str]) -> None:
        self.arguments = arguments
        self._paths = paths

    def path(self, inside: str) -> str:
        best = max(
            (kept for kept in self._paths if inside == kept or inside.startswith(kept + "/")),
            key=len,
            default=None,
        )
        return inside if best is None else self._paths[best] + inside[len(best) :]

    def begin(self, phase: str) -> None:
        say(wire.BEGIN, str(phase).encode())
        _wait_for_keeper()

    def end(self) -> None:
        # Not waited for: what comes next, or ends the run, is heard after it.
        say(wire.END)

    def output(self, name: str, data: bytes | memoryview, **meta: Any) -> None:
        view = memoryview(data).cast("B")
        head = json.dumps({"name": name, "size": view.nbytes, "meta": meta}, allow_nan=False)
        say(wire.OUTPUT, head.encode())
        for start in range(0, view.nbytes, _PIECE):
            _write(view[start : start + _PIECE])


def say(kind: bytes, body: bytes = b"", write: Callable[[Any], None] | None = None) -> None:
    """Send one frame to the keeper."""
    (write or _write)(wire.FRAME.pack(kind, len(body)) + body)


def _write(data: bytes | memoryview, _write: Callable[[int, Any], int] = os.write) -> None:
    view = memoryview(data)
    while view:
        view = view[_write(CONTROL, view) :]


def _wait_for_keeper(_read: Callable[[int, int], bytes] = os.read) -> None:
    if not _read(CONTROL, 1):
        os._exit(0)


def receive_order() -> dict[str, Any]:
    """Wait for the keeper's order."""

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = os.read(CONTROL, count - len(data))
            if not piece:
                os._exit(0)
            data += piece
        return data

    order: dict[str, Any] = json.loads(exactly(wire.LENGTH.unpack(exactly(wire.LENGTH.size))[0]))
    return order


def rehearse() -> None:
    """Do what every order asks for once, while there is none.

    What a new process writes to first is copied, page by page: done now, nobody waits for it.
    """
    json.loads(_REHEARSED)
    _use_threads(1)
    _load("fold:fold")
    importlib.util.find_spec(_NO_MODULE)
    exec(compile(_MODULE, _NO_MODULE, "exec"), {})  # noqa: S102 (text of our own)


def run(
    order: dict[str, Any], limit_threads: Callable[[int], None], lock: Callable[[], None]
) -> NoReturn:
    """Run one order to its end; the keeper or the kernel ends the process.

    `lock` is called before a line of a submission runs.
    """
    try:
        _use_threads(order["threads"])
        if order["threads"] != 1:
            # The zygote has loaded the libraries with one thread each.
            limit_threads(order["threads"])
        context = _Context(order["arguments"], order["paths"])
        code = None if order["code"] is None else context.path(order["code"])
        # Our own file, read before the lock: it may lie where a fold must not look.
        program = _load(order["program"])
        lock()
    except Exception as error:
        say(wire.BROKEN, f"{type(error).__name__}: {error}".encode())
        _sleep_for_ever()
    say(wire.READY)
    _wait_for_keeper()
    _run(program, context, code)


def _run(program: Callable[[Any], None], context: _Context, code: str | None) -> NoReturn:
    speak, write, sleep = say, _write, _sleep_for_ever
    try:
        program(context)
        _flush()
    except BaseException as error:
        _flush()
        speak(wire.ERROR, describe(error, code), write)
    else:
        speak(wire.DONE, b"", write)
    sleep()


def _sleep_for_ever(_read: Callable[[int, int], bytes] = os.read) -> NoReturn:
    # The keeper takes the last measures of the living process, then kills it: nothing registered
    # with atexit runs, no thread or child that was left can hold up the end.
    while _read(CONTROL, 1):
        pass
    os._exit(0)


def _load(name: str) -> Callable[[Any], None]:
    module, _, function = name.partition(":")
    if "." not in module:
        module = f"{_PROGRAMS}.{module}"
    program: Callable[[Any], None] = getattr(importlib.import_module(module), function)
    return program


def prepare(home: str) -> None:
    """Do what needs no order yet: home, temporary folders, signals, fresh random numbers."""
    temporary = "/tmp" if home == FOLD else f"{home}/tmp"
    os.environ.update(
        HOME=home,
        TMPDIR=temporary,
        JOBLIB_TEMP_FOLDER=temporary,
        MPLCONFIGDIR=f"{home}/.matplotlib",
        NUMBA_CACHE_DIR=f"{home}/.numba",
        XDG_CACHE_HOME=f"{home}/.cache",
    )
    tempfile.tempdir = None
    os.chdir(home)
    os.umask(0o022)
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if sys.version_info >= (3, 14):
        # The fork server, the default there, needs the unix sockets that a fold may not have.
        import multiprocessing

        multiprocessing.set_start_method("fork", force=True)
    faulthandler.enable(file=FAULTS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGXCPU, _soft_limit)
    faulthandler.register(signal.SIGXCPU, file=FAULTS, all_threads=False, chain=True)


def _use_threads(threads: int) -> None:
    count = str(threads)
    for name in _THREAD_VARIABLES:
        os.environ[name] = count
    os.cpu_count = lambda: threads
    if hasattr(os, "process_cpu_count"):
        os.process_cpu_count = lambda: threads


def _soft_limit(_number: int, _frame: FrameType | None) -> None:
    raise SoftTimeLimitExceeded


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112
            continue


def take_streams(control: int, log: int, faults: int) -> None:
    """Make these descriptors the fold's only ones, under fixed numbers."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # Out of the way first: a target number may be one of the sources.
    high = [os.dup(descriptor) for descriptor in (nothing, log, log, control, faults)]
    while min(high) < FIRST_FREE:
        high = [os.dup(descriptor) for descriptor in high]
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target, inheritable=target < CONTROL)
    libc.close_from(FIRST_FREE)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    # By lines, or what a long fold prints would be seen only at its end.
    sys.stdout = open(  # noqa: SIM115
        1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
