"""The zygote: imports what submissions import, then forks a fold's process for each request.

A fold is forked ahead of time (the *spare*) and waits, already in its namespaces and without
privileges, for an order that comes straight from the client. The zygote never sees an order, so
nothing of one fold can be found in the memory that the next one inherits.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery_app.sandbox import cgroup, landlock, layout, libc, lockdown, mounts, seccomp
from celery_app.zygote import processes, spawner, wire
from celery_app.zygote.folders import remove_tree
from celery_app.zygote.settings import FULL, LANDLOCK, Settings

MODULES = (
    "scipy.stats",
    "scipy.sparse",
    "sklearn.calibration",
    "sklearn.cluster",
    "sklearn.compose",
    "sklearn.decomposition",
    "sklearn.discriminant_analysis",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.kernel_ridge",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "multiprocessing.pool",
    "concurrent.futures.process",
)
_SLOW_S = 10.0


@dataclass(slots=True)
class _Fold:
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


class Server:
    """Forks folds, reaps them, and kills those whose client is gone."""

    def __init__(self, settings: Settings, limit_threads: Callable[[int], None]) -> None:
        self._settings = settings
        self._limit_threads = limit_threads
        self._full = settings.level == FULL
        self._abi = landlock.abi() if settings.level in (FULL, LANDLOCK) else 0
        self._filter = seccomp.build(kill_all=self._full) if seccomp.supported() else None
        self._spawner: tuple[int, socket.socket] | None = None
        self._groups = None if settings.groups is None else cgroup.Parent(**settings.groups)
        self._mapped = False
        self._uid: int | None = None
        self._spare: _Fold | None = None
        self._folds: dict[int, _Fold] = {}
        self._dead_groups: list[cgroup.Group] = []
        self._count = 0
        self._threads = 0
        self._retiring = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(fileno=settings.listener)
        self._warden = socket.socket(fileno=settings.warden)

    def set_up(self) -> None:
        """Make namespaces, base and spawner, while this process is still small."""
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        paths = layout.python_paths(self._settings.extra_paths)
        if not self._full:
            if os.geteuid() == 0 and layout.reachable_by_others(paths):
                self._uid = self._settings.sandbox_uid
            return
        libc.unshare(libc.CLONE_NEWUSER)
        self._mapped = self._ask_warden({"map": os.getpid()})["mapped"]
        libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWIPC)
        base, room = f"{self._settings.folder}/base", f"{self._settings.folder}/room"
        for folder in (base, room):
            os.makedirs(folder, exist_ok=True)
        mounts.make_base(base, paths)
        self._spawner = spawner.start(base, room)

    def serve(self) -> None:
        """Answer requests until told to end."""
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
        self._threads = len(os.listdir("/proc/self/task"))
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._warden, selectors.EVENT_READ, self._hear_warden)
        self._selector.register(reading, selectors.EVENT_READ, lambda: self._hear_signals(reading))
        self._spare = self._fork()
        wire.send(self._warden, {"ready": True, "groups": self._groups is not None})
        while not (self._retiring and not self._folds):
            for key, _ in self._selector.select():
                key.data()
        self.end()

    def end(self) -> None:
        """Kill everything below, whatever it is."""
        everything = list(self._folds.values())
        if self._spare is not None:
            everything.append(self._spare)
        for fold in everything:
            self._kill(fold)
        processes.sweep(lambda: (), self._reap_all)
        for fold in everything:
            self._forget(fold)
        self._remove_groups()
        os._exit(0)

    def _ask_warden(self, message: dict[str, Any]) -> dict[str, Any]:
        wire.send(self._warden, message)
        answer, _ = wire.receive(self._warden)
        if "error" in answer:
            raise OSError(answer["error"])
        return answer

    def _hear_warden(self) -> None:
        try:
            message, _ = wire.receive(self._warden)
        except ConnectionError:
            self.end()
        if message.get("stop"):
            self._retiring = True
            self._selector.unregister(self._listener)

    def _hear_signals(self, reading: int) -> None:
        numbers = os.read(reading, 4096)
        if signal.SIGTERM in numbers:
            self.end()
        self._reap()
        if self._spare is None and not self._retiring:
            self._spare = self._try_fork()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if wire.peer_uid(client) not in (0, self._settings.uid):
            client.close()
            return
        fold = self._spare or self._try_fork(client)
        self._spare = None
        if fold is None:
            client.close()
            return
        fold.client = client
        answer = {
            "pid": fold.pid,
            "init": fold.init,
            "home": fold.home,
            "level": self._settings.level,
            "uid": self._settings.sandbox_uid if self._mapped else self._uid,
            "group": fold.group and {"folders": fold.group.folders, "unified": fold.group.unified},
            "channels": list(fold.channels),
        }
        try:
            wire.send(client, answer, list(fold.channels.values()))
        except OSError:
            self._kill(fold)
        for descriptor in fold.channels.values():
            os.close(descriptor)
        fold.channels = {}
        self._folds[fold.pid] = fold
        self._selector.register(client, selectors.EVENT_READ, lambda: self._hear_client(fold))
        self._retire_if_worn()
        if not self._retiring:
            self._spare = self._try_fork()

    def _hear_client(self, fold: _Fold) -> None:
        """Kill the fold: a client speaks, or goes, only for that."""
        if fold.client is None:
            return
        with contextlib.suppress(OSError):
            if fold.client.recv(64):
                self._kill(fold)
                return
        self._selector.unregister(fold.client)
        fold.client.close()
        fold.client = None
        self._kill(fold)

    def _retire_if_worn(self) -> None:
        self._count += 1
        # A thread that an import left behind may hold a lock at the moment of a fork.
        grown = len(os.listdir("/proc/self/task")) > self._threads
        if self._count == self._settings.folds_per_zygote or (grown and not self._retiring):
            self._threads = sys.maxsize
            wire.send(self._warden, {"worn": self._count})

    def _try_fork(self, client: socket.socket | None = None) -> _Fold | None:
        try:
            return self._fork()
        except OSError as error:
            print(f"datarun zygote: cannot make a fold's process: {error}", file=sys.stderr)
            if client is not None:
                with contextlib.suppress(OSError):
                    wire.send(client, {"error": str(error)})
            return None

    def _fork(self) -> _Fold:
        init = init_pidfd = None
        channels: dict[str, int] = {}
        if self._spawner is not None:
            here, there = wire.pair()
            wire.send(self._spawner[1], {}, [there.fileno()])
            there.close()
            answer, descriptors = wire.receive(self._spawner[1])
            if not descriptors:
                msg = "the init of a fold ended at once"
                raise OSError(msg)
            init, init_pidfd = answer["pid"], descriptors[0]
            here.settimeout(_SLOW_S)
            made, _ = wire.receive(here)
            if "error" in made:
                os.close(init_pidfd)
                raise OSError(made["error"])
            here.settimeout(None)
            channels["init"] = here.detach()
            libc.setns(init_pidfd, libc.CLONE_NEWPID)
            home = layout.FOLD
        else:
            home = tempfile.mkdtemp(prefix="fold-", dir=self._settings.folder)
            os.mkdir(f"{home}/tmp")
            if self._uid is not None:
                os.chown(home, self._uid, self._uid)
                os.chown(f"{home}/tmp", self._uid, self._uid)
        control, control_end = socket.socketpair()
        log, log_end = os.pipe2(os.O_CLOEXEC)
        faults, faults_end = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                self._inside(init_pidfd, control_end.fileno(), log_end, faults_end, home)
            except BaseException as error:
                os.write(2, f"datarun fold: {type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(70)
        control_end.close()
        os.close(log_end)
        os.close(faults_end)
        channels |= {"control": control.detach(), "log": log, "faults": faults}
        fold = _Fold(pid, os.pidfd_open(pid), init, init_pidfd, home, None, channels)
        if self._groups is not None:
            try:
                fold.group = self._groups.make(str(pid))
                fold.group.add(pid)
            except OSError:
                fold.group = None
        return fold

    def _inside(
        self, init_pidfd: int | None, control: int, log: int, faults: int, home: str
    ) -> None:
        from celery_app.zygote import inside

        parent = os.getppid()
        os.setsid()
        if init_pidfd is not None:
            libc.setns(init_pidfd, libc.CLONE_NEWNS)
            os.chdir("/")
        inside.take_streams(control, log, faults)
        if init_pidfd is not None:
            lockdown.become_nobody(self._mapped)
        else:
            libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
            lockdown.become_user(self._uid)
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent and init_pidfd is None:
            os._exit(70)
        inside.prepare(home)
        order = inside.receive_order()
        lock = self._lock(order, home)
        inside.run(order, self._limit_threads, lock)

    def _lock(self, order: dict[str, Any], home: str) -> lockdown.Lock:
        inputs = [order["paths"][path] for path in order["readonly"]]
        outputs = [order["paths"][path] for path in order["writable"]]
        if self._full:
            readable = ["/"]
            writable = [layout.FOLD, "/tmp", "/dev/shm", "/dev/null", "/dev/zero", *outputs]
            shared = []
            processes_most = order["processes"]
        else:
            readable = [*layout.readable_paths(self._settings.extra_paths), *inputs]
            writable = [home, "/dev/null", "/dev/zero", *outputs]
            shared = ["/dev/shm"]
            processes_most = order["processes"] + lockdown.user_tasks(os.geteuid())
        return lockdown.Lock(
            memory=order["memory"] + lockdown.stack_room(order["threads"]),
            disk=order["disk"],
            processes=processes_most,
            landlock_abi=self._abi,
            readable=tuple(readable),
            writable=tuple(writable),
            shared=tuple(shared),
            filter=self._filter,
        )

    def _kill(self, fold: _Fold) -> None:
        for descriptor in (fold.init_pidfd, fold.pidfd):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _reap(self) -> None:
        ended = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            fold = self._folds.pop(pid, None)
            if fold is not None:
                ended = True
                self._finish(fold, status, usage.ru_utime + usage.ru_stime)
            elif self._spare is not None and pid == self._spare.pid:
                self._kill(self._spare)
                self._forget(self._spare)
                self._spare = None
            elif self._spawner is not None and pid == self._spawner[0]:
                self.end()
        if ended and not self._full:
            processes.sweep(self._mine, self._reap_all)
        self._remove_groups()

    def _mine(self) -> list[int]:
        return [*self._folds, *([self._spare.pid] if self._spare else [])]

    def _reap_all(self) -> None:
        """Reap adopted processes; a fold that ends meanwhile is left to `_reap`."""
        mine = set(self._mine())
        for pid in processes.children(os.getpid()):
            if pid not in mine:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _finish(self, fold: _Fold, status: int, cpu_s: float) -> None:
        self._kill(fold)
        if not self._full:
            processes.sweep(self._mine, self._reap_all)
        if fold.client is not None:
            with contextlib.suppress(OSError):
                oom_kills = 0 if fold.group is None else fold.group.oom_kills()
                wire.send(fold.client, {"status": status, "cpu_s": cpu_s, "oom_kills": oom_kills})
            self._selector.unregister(fold.client)
            fold.client.close()
            fold.client = None
        self._forget(fold)

    def _forget(self, fold: _Fold) -> None:
        for descriptor in (fold.pidfd, fold.init_pidfd, *fold.channels.values()):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        fold.channels = {}
        if not self._full:
            remove_tree(fold.home)
        if fold.group is not None:
            self._dead_groups.append(fold.group)

    def _remove_groups(self) -> None:
        self._dead_groups = [group for group in self._dead_groups if not group.remove()]


def import_modules() -> Callable[[int], None]:
    """Import what folds will need; returns what sets the threads of numerical libraries."""
    import celery_app.programs

    names = [
        f"celery_app.programs.{module.name}"
        for module in pkgutil.iter_modules(celery_app.programs.__path__)
    ]
    names += ["celery_app.zygote.inside", "celery_app.execution"]
    for name in (*MODULES, *names):
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"datarun zygote: {name} cannot be imported: {error}", file=sys.stderr)
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers

    def limit_threads(count: int) -> None:
        for library in libraries:
            library.set_num_threads(count)

    return limit_threads


def main() -> None:
    """Run the zygote; the warden gives its settings as one JSON argument."""
    settings = Settings(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGTERM)
    limit: list[Callable[[int], None]] = []
    server = Server(settings, lambda count: limit[0](count))
    try:
        server.set_up()
        limit.append(import_modules())
        gc.collect()
        gc.freeze()
        libc.collapse_heap()
        server.serve()
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(socket.socket(fileno=os.dup(settings.warden)), {"failed": str(error)})
        time.sleep(0)
        server.end()


if __name__ == "__main__":
    main()
