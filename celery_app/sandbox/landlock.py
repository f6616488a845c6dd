"""Landlock: file, network and signal rules that a process puts on itself and cannot take off."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from celery_app.sandbox import libc

_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_MAKE_SPECIAL = (1 << 6) | (1 << 11)
_IOCTL_DEV = 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14)

READ = _EXECUTE | _READ_FILE | _READ_DIR
_FS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FS_NEWEST = (1 << 16) - 1
_NET = 0b11
_SCOPE = 0b11


def abi() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    try:
        return libc.syscall(
            "landlock",
            libc.SYS_LANDLOCK_CREATE_RULESET,
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint32(_VERSION_FLAG),
        )
    except OSError:
        return 0


class Rules:
    """What the calling process will be allowed to do: nothing at first, and no TCP.

    Parameters
    ----------
    version : int
        What `abi` said.
    """

    def __init__(self, version: int) -> None:
        self._handled = _FS_BY_ABI.get(version, _FS_NEWEST)
        attributes = struct.pack(
            "=QQQ", self._handled, _NET if version >= 4 else 0, _SCOPE if version >= 6 else 0
        )
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        self._ruleset = libc.syscall(
            "landlock_create_ruleset",
            libc.SYS_LANDLOCK_CREATE_RULESET,
            ctypes.c_char_p(attributes),
            ctypes.c_size_t(size),
            ctypes.c_uint32(0),
        )

    def allow(
        self,
        *,
        readable: Iterable[str] = (),
        writable: Iterable[str] = (),
        shared: Iterable[str] = (),
    ) -> None:
        """Allow to read, and to write, below these paths.

        Parameters
        ----------
        readable, writable : iterable of str
            Files and folders; what does not exist is left out.
        shared : iterable of str
            Folders in which files may be made and opened by name, but not listed.
        """
        everything = self._handled & ~_MAKE_SPECIAL & ~_IOCTL_DEV
        for paths, rights in (
            (readable, READ),
            (writable, everything),
            (shared, everything & ~_READ_DIR & ~_EXECUTE),
        ):
            for path in paths:
                _allow(self._ruleset, path, rights & self._handled)

    def restrict(self) -> None:
        """Put the rules on the calling process, for good."""
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        libc.syscall(
            "landlock_restrict_self",
            libc.SYS_LANDLOCK_RESTRICT_SELF,
            ctypes.c_int(self._ruleset),
            ctypes.c_uint32(0),
        )
        os.close(self._ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        libc.syscall(
            "landlock_add_rule",
            libc.SYS_LANDLOCK_ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.c_char_p(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(descriptor)
