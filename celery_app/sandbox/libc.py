"""The few system calls that Python has no function for, raising `OSError` when they fail."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOATIME = 0x400
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_MACHINE = platform.machine()
_X86 = _MACHINE == "x86_64"
SYS_PIVOT_ROOT = 155 if _X86 else 41
SYS_CLONE = 56 if _X86 else 220
SYS_CAPSET = 126 if _X86 else 91
SYS_SECCOMP = 317 if _X86 else 277
SYS_MOUNT_SETATTR = 442
SYS_CLOSE_RANGE = 436
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: object) -> int:
    """Make a raw system call."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    """Give the calling process namespaces of its own."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def fork_into(flags: int) -> int:
    """Fork a process into new namespaces; the caller, of one thread only, stays where it is.

    After `unshare` a process could not come back to make a second pid namespace: inside a user
    namespace it may not enter the pid namespace in which it lives.
    """
    with_lock = ctypes.PyDLL(None, use_errno=True)
    with_lock.syscall.restype = ctypes.c_long
    word = ctypes.c_ulong
    pid: int = with_lock.syscall(
        word(SYS_CLONE), word(flags | signal.SIGCHLD), word(0), word(0), word(0), word(0)
    )
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    return _checked(pid, "clone")


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespaces of a pidfd or a namespace descriptor."""
    _checked(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), "setns")


def prctl(option: int, *arguments: int) -> int:
    """Change an attribute of the calling process."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(ctypes.c_int(option), *words), f"prctl({option})")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system, or change a mount."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        flags,
        data.encode() or None,
    )
    _checked(result, f"mount {kind or 'bind'} {target}")


def bind(source: str, target: str) -> None:
    """Show a file or folder, with everything mounted below it, at a second place."""
    mount(source, target, flags=MS_BIND | MS_REC)


def read_only(target: str, *, flags: int = MS_RDONLY | MS_NOSUID | MS_NODEV) -> None:
    """Make a mount and all mounts below it read-only."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    syscall(
        f"mount_setattr {target}",
        SYS_MOUNT_SETATTR,
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )


def detach(target: str) -> None:
    """Take a mount and everything below it out of sight."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root; the former root moves to `old`."""
    syscall(
        "pivot_root",
        SYS_PIVOT_ROOT,
        ctypes.c_char_p(os.fsencode(new)),
        ctypes.c_char_p(os.fsencode(old)),
    )


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    _libc.syscall(
        ctypes.c_long(SYS_CLOSE_RANGE),
        ctypes.c_uint(first),
        ctypes.c_uint(0xFFFFFFFF),
        ctypes.c_uint(0),
    )


def drop_bounding_set() -> None:
    """See to it that no program run from here on gains a capability; without effect for a user."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break


def drop_capabilities() -> None:
    """Give up every capability for good, the bounding set included."""
    drop_bounding_set()
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    syscall("capset", SYS_CAPSET, ctypes.byref(header), ctypes.byref(none))
