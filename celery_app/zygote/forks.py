"""Forks the process of a fold into the namespaces of its init."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from celery_app.sandbox import cgroup, landlock, layout, libc, lockdown, mounts, seccomp
from celery_app.zygote import spawner, wire
from celery_app.zygote.settings import FULL, LANDLOCK, Settings

_SLOW_S = 10.0
_FAILED = 70
_SINKS = ("/dev/null", "/dev/zero")


@dataclass(slots=True)
class Fold:
    """A forked process, from spare to reaped."""

    pid: int
    pidfd: int
    init: int | None
    init_pidfd: int | None
    home: str
    group: cgroup.Group | None
    channels: dict[str, int]
    """What the client gets: control, log, faults and, at level full, init."""
    client: socket.socket | None = None

    def kill(self) -> None:
        """Kill the fold; at level full everything in its namespace dies with init."""
        for descriptor in (self.init_pidfd, self.pidfd):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Close what the zygote holds of it."""
        for descriptor in (self.pidfd, self.init_pidfd, *self.channels.values()):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self.channels = {}


class Forks:
    """Makes folds at one level of isolation."""

    def __init__(self, settings: Settings, limit_threads: Callable[[int], None]) -> None:
        self._settings = settings
        self._limit_threads = limit_threads
        self.full = settings.level == FULL
        self._abi = landlock.abi() if settings.level in (FULL, LANDLOCK) else 0
        self._filter = seccomp.build(kill_all=self.full) if seccomp.supported() else None
        self._groups = None if settings.groups is None else cgroup.Parent(**settings.groups)
        self._spawner: tuple[int, socket.socket] | None = None
        self._readable: list[str] = []
        self._mapped = False
        self._uid: int | None = None
        self._made = 0

    @property
    def spawner(self) -> int | None:
        """The process that forks inits."""
        return None if self._spawner is None else self._spawner[0]

    @property
    def outer_uid(self) -> int | None:
        """The user, on this machine, that folds run as; None: the runner's own."""
        return self._settings.sandbox_uid if self._mapped else self._uid

    def set_up(self, map_users: Callable[[], bool]) -> None:
        """Make namespaces, base and spawner, while this process is still small.

        Parameters
        ----------
        map_users : callable
            Has users mapped into this process's new namespace; says whether there are two.
        """
        extra = self._settings.extra_paths
        paths = layout.python_paths(extra)
        if not self.full:
            self._readable = [path for path in layout.readable_paths(extra) if os.path.exists(path)]
            reachable = layout.reachable_by_others([*paths, self._settings.cache_dir])
            if os.geteuid() == 0 and reachable:
                self._uid = self._settings.sandbox_uid
            return
        libc.unshare(libc.CLONE_NEWUSER)
        self._mapped = map_users()
        libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWIPC)
        base, room = f"{self._settings.folder}/base", f"{self._settings.folder}/room"
        for folder in (base, room):
            os.makedirs(folder, exist_ok=True)
        mounts.make_base(base, paths)
        self._spawner = spawner.start(base, room)

    def fork(self) -> Fold:
        """Make a process that waits, without privileges, for an order."""
        init = init_pidfd = None
        channels: dict[str, int] = {}
        if self._spawner is not None:
            init, init_pidfd, channels["init"] = self._make_init(self._spawner[1])
            libc.setns(init_pidfd, libc.CLONE_NEWPID)
            home = layout.FOLD
        else:
            home = self._make_home()
        control, control_end = socket.socketpair()
        log, log_end = os.pipe2(os.O_CLOEXEC)
        faults, faults_end = os.pipe2(os.O_CLOEXEC)
        group, doors = self._make_group()
        try:
            pid = os.fork()
        except OSError:
            opened = (log, log_end, faults, faults_end, init_pidfd, *doors, *channels.values())
            for descriptor in opened:
                if descriptor is not None:
                    os.close(descriptor)
            if group is not None:
                group.remove()
            raise
        if pid == 0:
            try:
                cgroup.join(doors)
                ends = (control_end.fileno(), log_end, faults_end)
                self._live(init_pidfd, ends, home)
            except BaseException as error:
                os.write(2, f"datarun fold: {type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(_FAILED)
        control_end.close()
        for descriptor in (log_end, faults_end, *doors):
            os.close(descriptor)
        channels |= {"control": control.detach(), "log": log, "faults": faults}
        return Fold(pid, os.pidfd_open(pid), init, init_pidfd, home, group, channels)

    def _make_init(self, spawner_socket: socket.socket) -> tuple[int, int, int]:
        here, there = wire.pair()
        with there:
            wire.send(spawner_socket, {}, [there.fileno()])
        answer, descriptors = wire.receive(spawner_socket)
        if not descriptors:
            msg = "the init of a fold ended at once"
            raise OSError(msg)
        here.settimeout(_SLOW_S)
        try:
            made, _ = wire.receive(here)
            if "error" in made:
                raise OSError(made["error"])
        except OSError:
            here.close()
            os.close(descriptors[0])
            raise
        here.settimeout(None)
        return answer["pid"], descriptors[0], here.detach()

    def _make_home(self) -> str:
        home = tempfile.mkdtemp(prefix="fold-", dir=self._settings.homes)
        os.mkdir(f"{home}/tmp")
        if self._uid is not None:
            os.chown(f"{home}/tmp", self._uid, self._uid)
            os.chown(home, self._uid, self._uid)
        return home

    def _make_group(self) -> tuple[cgroup.Group | None, list[int]]:
        if self._groups is None:
            return None, []
        self._made += 1
        try:
            # Of two zygotes, the old one and the new one, both may make groups.
            group = self._groups.make(f"{os.getpid()}-{self._made}")
        except OSError:
            return None, []
        try:
            return group, group.doors()
        except OSError:
            group.remove()
            return None, []

    def _live(self, init_pidfd: int | None, ends: tuple[int, int, int], home: str) -> NoReturn:
        """Go on in the fold's process."""
        from celery_app.zygote import inside

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        if init_pidfd is not None:
            libc.setns(init_pidfd, libc.CLONE_NEWNS)
            os.chdir("/")
        inside.take_streams(*ends)
        if self.full:
            lockdown.become_nobody(self._mapped)
        else:
            libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
            lockdown.become_user(self._uid)
        # Changing the user has cleared it. Should the zygote die before, the order never comes.
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        inside.prepare(home)
        lock = lockdown.Lock(self._filter, self._abi)
        if self.full:
            lock.allow(readable=("/",), writable=(layout.FOLD, "/tmp", "/dev/shm", *_SINKS))
        else:
            lock.allow(readable=self._readable, writable=(home, *_SINKS), shared=("/dev/shm",))
        inside.rehearse()
        order = inside.receive_order()
        inside.run(order, self._limit_threads, lambda: self._apply(lock, order))

    def _apply(self, lock: lockdown.Lock, order: dict[str, Any]) -> None:
        lock.allow(writable=[order["paths"][path] for path in order["writable"]])
        most = order["processes"]
        if not self.full:
            lock.allow(readable=[order["paths"][path] for path in order["readonly"]])
            if os.geteuid() != 0:
                # The kernel counts all processes of the user; of root it counts none.
                most += lockdown.user_tasks(os.geteuid())
        memory = order["memory"] + lockdown.stack_room(order["threads"])
        lock.apply(memory=memory, disk=order["disk"], processes=most)
