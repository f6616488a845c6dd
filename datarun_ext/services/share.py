"""What masters of one user that share a private Redis and a runner know of each other."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from datarun_ext.config import Settings
from datarun_ext.errors import Unavailable

SOCKET_PATH_MAX = 100
"""Bytes of a socket's path; the kernel takes hardly more."""


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


class Share:
    """The file in which the master that has the children says how to reach them, and its lock."""

    def __init__(self, settings: Settings) -> None:
        self._runtime_dir = settings.runtime_dir
        # Masters with different databases must not share a runner.
        key = hashlib.sha256(settings.database_url.encode()).hexdigest()[:12]
        self._file = settings.runtime_dir / f"pool-{key}.json"
        self._lock: int | None = None

    def take_lock(self) -> bool:
        """Become the master that has the children; False while another one is."""
        if self._lock is None:
            self._runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(self._file.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let another master have the children."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self) -> Shared | None:
        """Return how to reach the children; None if no master has said."""
        try:
            return Shared(**json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, shared: Shared) -> None:
        """Say how to reach the children."""
        write_private(self._file, json.dumps(asdict(shared)))

    def forget(self, shared: Shared) -> None:
        """Remove what was said, and the sockets."""
        for path in (self._file, Path(shared.redis_socket), Path(shared.master_socket)):
            path.unlink(missing_ok=True)

    def socket_folder(self) -> Path:
        """Return a folder for the sockets that only this user can enter.

        Raises
        ------
        Unavailable
            If somebody else has made it.
        """
        folder = self._runtime_dir / self._file.stem
        if len(os.fsencode(folder / "master.sock")) > SOCKET_PATH_MAX:
            key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"datarun-{os.getuid()}-{key}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
            msg = f"{folder} belongs to somebody else or is open to others: remove it."
            raise Unavailable(msg)
        return folder


def ping(shared: Shared) -> None:
    """Make sure that the private Redis answers. Raises `redis.RedisError`."""
    client = redis.Redis(
        unix_socket_path=shared.redis_socket, password=shared.password, socket_timeout=2.0
    )
    try:
        client.ping()
    finally:
        client.close()


def write_private(path: Path, text: str) -> None:
    """Write a file, as a whole, that only this user can read."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    part.replace(path)
