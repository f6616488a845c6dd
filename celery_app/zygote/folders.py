"""Counting and removing folders that somebody made who wished to make it hard."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from itertools import count

_MOST_OPEN = 256


def folder_bytes(folder: str, enough: int) -> int:
    """Return how much a folder holds; stops counting beyond `enough`.

    Goes by descriptors: a path may be longer than the kernel takes.
    """
    total = 0
    try:
        waiting = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    except OSError:
        return 0
    while waiting:
        current = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(current) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False) and len(waiting) < _MOST_OPEN:
                        waiting.append(_open_folder(entry.name, current))
                if total > enough:
                    break
        os.close(current)
        if total > enough:
            break
    for left in waiting:
        os.close(left)
    return total


def remove_tree(folder: str) -> None:
    """Remove a folder, however deep it is and whatever rights were taken from its parts.

    Every folder is emptied into the top one and removed, so nothing is deep.
    """
    names = (f".removed-{number}" for number in count())
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while found := os.listdir(top):
                for name in found:
                    _remove(name, top, names)
        finally:
            os.close(top)
        os.rmdir(folder)


def _remove(name: str, top: int, names: Iterator[str]) -> None:
    if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
        os.unlink(name, dir_fd=top)
        return
    os.chmod(name, 0o700, dir_fd=top)
    inner = _open_folder(name, top)
    try:
        for child in os.listdir(inner):
            if stat.S_ISDIR(os.lstat(child, dir_fd=inner).st_mode):
                os.chmod(child, 0o700, dir_fd=inner)
                os.rename(child, next(names), src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _open_folder(name: str, within: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=within)
    except PermissionError:
        # What lies in a folder whose rights were taken away still takes up the disk.
        os.chmod(name, 0o700, dir_fd=within)
        return os.open(name, flags, dir_fd=within)
