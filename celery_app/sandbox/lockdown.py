"""What a fold's process gives up, for good, before a line of a submission runs."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable

from celery_app.sandbox import landlock, libc, seccomp
from celery_app.sandbox.layout import FOLD_UID

MB = 10**6
_THREAD_STACK = 8 << 20
_FILES = 4096


def become_nobody(outer_root: bool) -> None:
    """Enter a user namespace of its own as an ordinary user without capabilities.

    The namespace makes the limit on processes a limit of this fold alone: the kernel counts
    processes per user and namespace.
    """
    uid, gid = os.geteuid(), os.getegid()
    if outer_root:
        os.setgroups([])
        os.setresgid(FOLD_UID, FOLD_UID, FOLD_UID)
        os.setresuid(FOLD_UID, FOLD_UID, FOLD_UID)
        uid = gid = FOLD_UID
    # Changing the user makes /proc/self the property of root, and uid_map unwritable.
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    libc.unshare(libc.CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{FOLD_UID} {gid} 1"),
        ("uid_map", f"{FOLD_UID} {uid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    libc.drop_capabilities()
    libc.prctl(libc.PR_SET_DUMPABLE, 1)


def become_user(uid: int | None) -> None:
    """Give up all capabilities, and the user where another one can be taken."""
    if os.geteuid() == 0:
        libc.drop_bounding_set()
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    libc.drop_capabilities()
    libc.prctl(libc.PR_SET_DUMPABLE, 1)


class Lock:
    """What a process and all that it will start may do from `apply` on.

    Made before there is an order, with what no order asks for: nobody waits for that.

    Parameters
    ----------
    filter_program : bytes, optional
        The filter of system calls.
    landlock_abi : int
        The kernel's version of Landlock; 0 where it is not used.
    """

    def __init__(self, filter_program: bytes | None, landlock_abi: int) -> None:
        for kind, value in (
            (resource.RLIMIT_NOFILE, _FILES),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
        ):
            _limit(kind, value)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
        if filter_program is not None:
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
            seccomp.install(filter_program)
        self._rules = landlock.Rules(landlock_abi) if landlock_abi else None

    def allow(
        self,
        *,
        readable: Iterable[str] = (),
        writable: Iterable[str] = (),
        shared: Iterable[str] = (),
    ) -> None:
        """Allow to use these paths: see `landlock.Rules.allow`."""
        if self._rules is not None:
            self._rules.allow(readable=readable, writable=writable, shared=shared)

    def apply(self, *, memory: int, disk: int, processes: int) -> None:
        """Lock the calling process.

        Parameters
        ----------
        memory, disk : int
            Bytes, beyond what it has; bytes of one file.
        processes : int
            Processes and threads, counted in the fold's own namespace or as all of the user's.
        """
        for kind, value in (
            (resource.RLIMIT_DATA, _data_bytes() + memory),
            (resource.RLIMIT_FSIZE, disk),
            (resource.RLIMIT_NPROC, processes),
        ):
            _limit(kind, value)
        if self._rules is not None:
            self._rules.restrict()


def stack_room(threads: int) -> int:
    """Return the address space that the stacks of helper threads take."""
    return threads * _THREAD_STACK


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _data_bytes() -> int:
    # Not with `open`: a new process copies over a hundred pages on the way through it.
    descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 256).split()[5]) * resource.getpagesize()
    finally:
        os.close(descriptor)


def user_tasks(uid: int) -> int:
    """Count the processes and threads that a user has now."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return count
