"""A small system call filter, assembled here so that no system library is needed.

Refused calls fail with EPERM: programs that only try (and most libraries do only try) go on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from celery_app.sandbox import libc

# name: (x86_64, aarch64); None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "personality": (135, 92),
    "vhangup": (153, 58),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "lookup_dcookie": (212, 18),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "unshare": (272, 97),
    "setns": (308, 268),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pidfd_getfd": (438, 438),
    # System V and POSIX queues live in a namespace that all folds of a runner share.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
_SOCKET = (41, 198)
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_PRCTL = (157, 167)
_KILL = (62, 129)
_IOCTL = (16, 29)

_X32 = 0x40000000
_NAMESPACES = 0x7E020080
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C

_LOAD = 0x20
_EQUAL = 0x15
_AT_LEAST = 0x35
_ANY_BIT = 0x45
_RETURN = 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_UNKNOWN = _ERRNO | errno.ENOSYS
_MODE_FILTER = 2


def _step(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, value & 0xFFFFFFFF)


def _argument(index: int) -> bytes:
    return _step(_LOAD, 16 + 8 * index)


def supported() -> bool:
    """Whether the filter knows this machine's system calls."""
    return platform.machine() in ("x86_64", "aarch64")


def build(*, kill_all: bool) -> bytes:
    """Assemble the filter.

    Parameters
    ----------
    kill_all : bool
        Whether ``kill(-1)`` may pass: harmless only inside a pid namespace.
    """
    x86 = platform.machine() == "x86_64"
    column = 0 if x86 else 1
    steps = [
        _step(_LOAD, 4),
        _step(_EQUAL, 0xC000003E if x86 else 0xC00000B7, 1, 0),
        _step(_RETURN, _REFUSE),
        _step(_LOAD, 0),
    ]
    if x86:
        steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _REFUSE)]
    numbers = [pair[column] for pair in _DENIED.values()]
    for number in numbers:
        if number is not None:
            steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE)]
    # glibc falls back to clone, whose flags can be looked at, only for ENOSYS.
    steps += [_step(_EQUAL, _CLONE3[column], 0, 1), _step(_RETURN, _UNKNOWN)]
    # No socket of any kind: socketpair is another call and stays.
    steps += [_step(_EQUAL, _SOCKET[column], 0, 1), _step(_RETURN, _REFUSE)]
    steps += [
        _step(_EQUAL, _CLONE[column], 0, 4),
        _argument(0),
        _step(_ANY_BIT, _NAMESPACES, 0, 1),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    steps += [
        _step(_EQUAL, _PRCTL[column], 0, 4),
        _argument(0),
        _step(_EQUAL, libc.PR_SET_CHILD_SUBREAPER, 0, 1),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    steps += [
        _step(_EQUAL, _IOCTL[column], 0, 5),
        _argument(1),
        _step(_EQUAL, _TIOCSTI, 1, 0),
        _step(_EQUAL, _TIOCLINUX, 0, 1),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    if not kill_all:
        steps += [
            _step(_EQUAL, _KILL[column], 0, 4),
            _argument(0),
            _step(_EQUAL, -1, 0, 1),
            _step(_RETURN, _REFUSE),
            _step(_RETURN, _ALLOW),
        ]
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def install(program: bytes) -> None:
    """Put the calling process and all its children under the filter; needs no_new_privs."""
    body = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(body))
    head_buffer = ctypes.create_string_buffer(head, len(head))
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head_buffer))
