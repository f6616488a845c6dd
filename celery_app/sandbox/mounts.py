"""The file tree of a fold at level ``full``.

The *base* is made once per zygote: read-only views of the interpreter, its packages and the system
libraries. Each fold gets a root of its own, one tmpfs of limited size, with the base, its inputs
and its own folders in it. What is not named here cannot be seen.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping

from celery_app.sandbox import libc
from celery_app.sandbox.layout import BASE, DEVICES, ETC_FILES, FOLD, HOST, system_paths

_OWN = (FOLD, "/tmp", "/dev/shm")
_REHEARSED = "/rehearsed"
_INODE_BYTES = 16 * 1024
_TRIES, _PAUSE_S = 200, 0.001
_STREAMS = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def make_base(place: str, paths: Iterable[str]) -> None:
    """Build the base on the folder `place`, in a mount namespace of the caller's own."""
    libc.mount("none", "/", flags=libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("base", place, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=755")
    for path in (*system_paths(), *paths):
        _show(path, place + path)
    for name in DEVICES:
        _show(f"/dev/{name}", f"{place}/dev/{name}", flags=libc.MS_RDONLY | libc.MS_NOSUID)
    os.makedirs(f"{place}/etc", exist_ok=True)
    for name, text in ETC_FILES.items():
        with open(f"{place}/etc/{name}", "x", encoding="utf-8") as file:
            file.write(text)
    libc.read_only(place, flags=libc.MS_RDONLY | libc.MS_NOSUID)


def make_root(base: str, room: str, size: int) -> None:
    """Give the calling process, first of its pid and mount namespaces, the root of a fold.

    The former root stays at `HOST` until `furnish` takes it away.
    """
    # Without times of access: noting one makes the mount busy while `furnish` seals it.
    flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOATIME
    libc.mount("fold", room, "tmpfs", flags, f"mode=755,{_size(size)}")
    for folder in (BASE, HOST, "/proc", "/dev", "/dev/shm", "/tmp", FOLD):
        os.mkdir(room + folder)
    for own in _OWN:
        os.chmod(room + own, 0o1777)
        libc.mount(room + own, room + own, flags=libc.MS_BIND)
    libc.mount("proc", room + "/proc", "proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
    for name in os.listdir(base):
        if name not in ("dev", "tmp"):
            os.symlink(f"{BASE}/{name}", f"{room}/{name}")
    for name in DEVICES:
        os.symlink(f"{BASE}/dev/{name}", f"{room}/dev/{name}")
    for name, target in _STREAMS.items():
        os.symlink(f"/proc/self/{target}", f"{room}/dev/{name}")
    if os.path.isdir(f"{base}/tmp"):
        # Packages that are installed below /tmp stay visible beside the fold's own files.
        for name in os.listdir(f"{base}/tmp"):
            os.symlink(f"{BASE}/tmp/{name}", f"{room}/tmp/{name}")
    libc.bind(base, room + BASE)
    libc.pivot_root(room, room + HOST)
    os.chdir("/")


def rehearse() -> None:
    """Show something, and take it away: what `furnish` writes to first is then copied already."""
    _show(FOLD, _REHEARSED)
    libc.detach(_REHEARSED)
    os.rmdir(_REHEARSED)


def furnish(size: int, readonly: Mapping[str, str], writable: Mapping[str, str]) -> None:
    """Put an order's inputs in place, set the size of the fold's own folders, hide the rest."""
    libc.mount(
        "fold", "/", flags=libc.MS_REMOUNT | libc.MS_NOSUID | libc.MS_NODEV, data=_size(size)
    )
    for inside, outside in readonly.items():
        _show(f"{HOST}{outside}", inside)
    for inside, outside in writable.items():
        _show(f"{HOST}{outside}", inside, flags=libc.MS_NOSUID | libc.MS_NODEV)
    libc.detach(HOST)
    flags = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
    _once_idle(lambda: libc.mount("", "/", flags=flags))


def _once_idle(seal: Callable[[], None]) -> None:
    """Make a mount read-only when nobody is just writing: the fold's process looks around already.

    Raises OSError if it stays busy.
    """
    for _ in range(_TRIES):
        try:
            return seal()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        time.sleep(_PAUSE_S)
    return seal()


def _size(size: int) -> str:
    return f"size={size},nr_inodes={size // _INODE_BYTES + 1000}"


def _show(
    source: str, target: str, *, flags: int = libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
) -> None:
    if os.path.islink(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    libc.bind(source, target)
    _once_idle(lambda: libc.read_only(target, flags=flags))
