"""A runner's store of files and folders by content: fetched or made once, used by all slots.

An entry is complete or absent: it is made under another name and renamed, so a crash leaves at
most a leftover that is collected later. Whoever uses an entry holds a shared lock on it; the
oldest entries go when the store grows over its bound, but never one that is locked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Waiting = Callable[[], object]
"""Called from time to time during anything that takes long; it may raise to give up."""

TOUCH_AFTER_S = 60.0
LEFTOVER_AFTER_S = 3600.0
COLLECT_EVERY_S = 10.0
_POLL_S = 0.02


class Cache:
    """Entries of several kinds below one folder, each named by the hash of what it holds.

    Parameters
    ----------
    folder : Path
        Created when it is missing; several runners may share it.
    most_bytes : int
        How much the entries may have together; what is in use counts but stays.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        for name in ("entries", "locks", "parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def entry(
        self, kind: str, key: str, make: Callable[[Path], None], waiting: Waiting
    ) -> Iterator[Path]:
        """Give the path of an entry, which stays while the context is open.

        Parameters
        ----------
        kind, key : str
            Name the entry.
        make : callable
            Makes it at the path that it is given, a file or a folder; called at most once at a
            time for one entry, whatever the number of processes that want it.
        waiting : callable
            Called while another process makes it.
        """
        path = self.folder / "entries" / kind / key
        held = _hold(path)
        while held is None:
            held = self._make(path, kind, key, make, waiting)
        try:
            yield path
        finally:
            os.close(held)

    def collect(self) -> None:
        """Remove leftovers of crashes, and the oldest entries beyond the bound."""
        lock = self.folder / "locks" / "collect"
        with suppress(OSError), _locked(lock, lambda: None):
            os.utime(lock)
            old = time.time() - LEFTOVER_AFTER_S
            for part in os.scandir(self.folder / "parts"):
                if part.stat(follow_symlinks=False).st_mtime < old:
                    _remove(Path(part.path))
            self._shrink()

    def _make(
        self, path: Path, kind: str, key: str, make: Callable[[Path], None], waiting: Waiting
    ) -> int | None:
        """Make an entry unless another process has, and hold it; None when it has gone again."""
        lock = self.folder / "locks" / f"{kind}-{key[:2]}"
        with _locked(lock, waiting):
            if path.exists():
                return _hold(path)
            part = self.folder / "parts" / f"{uuid.uuid4().hex}.part"
            try:
                make(part)
                path.parent.mkdir(exist_ok=True)
                os.rename(part, path)
            except BaseException:
                _remove(part)
                raise
            held = _hold(path)
        big = _size(path) > self.most_bytes // 100
        if big or _used_at(self.folder / "locks" / "collect") < time.time() - COLLECT_EVERY_S:
            self.collect()
        return held

    def _shrink(self) -> None:
        entries = [
            Path(entry.path)
            for kind in os.scandir(self.folder / "entries")
            for entry in os.scandir(kind.path)
        ]
        sizes = {path: _size(path) for path in entries}
        excess = sum(sizes.values()) - self.most_bytes
        for path in sorted(entries, key=_used_at):
            if excess <= 0:
                return
            if self._evict(path):
                excess -= sizes[path]

    def _evict(self, path: Path) -> bool:
        """Remove an entry that nobody uses."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part = self.folder / "parts" / f"{uuid.uuid4().hex}.part"
            os.rename(path, part)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        _remove(part)
        return True


def _hold(path: Path) -> int | None:
    """Lock an entry against removal; None when it does not exist."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        status = os.stat(path)
        if status.st_ino == os.fstat(descriptor).st_ino:
            if time.time() - status.st_mtime > TOUCH_AFTER_S:
                os.utime(path)
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


@contextmanager
def _locked(path: Path, waiting: Waiting) -> Iterator[None]:
    """Hold an exclusive lock; it ends with the process that holds it."""
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(_POLL_S)
        yield


def _used_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path | os.DirEntry[str]) -> int:
    """Return the bytes of an entry; links, which set-up programs may leave, are not followed."""
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size
        with os.scandir(path) as inside:
            return sum(map(_size, inside))
    except OSError:
        return 0


def _remove(path: Path) -> None:
    """Remove a file or a folder, also one that was made read-only."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
