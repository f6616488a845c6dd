"""The zygote: imports what submissions import, then forks a fold's process for each request.

A fold is forked ahead of time (the *spare*) and waits, already in its namespaces and without
privileges, for an order that comes straight from the client. The zygote never sees an order, so
nothing of one fold can be found in the memory that the next one inherits.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from celery_app.sandbox import libc
from celery_app.sandbox.cgroup import Group
from celery_app.zygote import heap, processes, wire
from celery_app.zygote.folders import remove_tree
from celery_app.zygote.forks import Fold, Forks
from celery_app.zygote.imports import import_modules
from celery_app.zygote.settings import Settings

_START_S = 0.012
"""A fold that was just handed out starts alone: a fork at the same time would delay it."""
_RETRY_S = 0.5


class Server:
    """Forks folds, reaps them, and kills those whose client is gone."""

    def __init__(self, settings: Settings, limit_threads: Callable[[int], None]) -> None:
        self._settings = settings
        self._forks = Forks(settings, limit_threads)
        self._spare: Fold | None = None
        self._spare_due = 0.0
        self._folds: dict[int, Fold] = {}
        self._dead_groups: list[Group] = []
        self._count = 0
        self._threads = 0
        self._retiring = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(fileno=settings.listener)
        self._warden = socket.socket(fileno=settings.warden)

    def set_up(self) -> None:
        """Prepare what all folds share, while this process is still small."""
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        self._forks.set_up(lambda: bool(self._ask_warden({"map": os.getpid()})["mapped"]))

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
        self._spare = self._forks.fork()
        wire.send(self._warden, {"ready": True})
        while not (self._retiring and not self._folds):
            for key, _ in self._selector.select(self._until_spare()):
                key.data()
            if self._until_spare() == 0:
                self._spare = self._try_fork()
        self.end()

    def _until_spare(self) -> float | None:
        """Return the seconds until the next spare is to be forked; None if there is one."""
        if self._spare is not None or self._retiring:
            return None
        return max(0.0, self._spare_due - time.monotonic())

    def end(self) -> None:
        """Kill everything below, whatever it is."""
        everything = list(self._folds.values())
        if self._spare is not None:
            everything.append(self._spare)
        for fold in everything:
            fold.kill()
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
        if self._reap():
            self._spare_due = 0.0

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
            "uid": self._forks.outer_uid,
            "group": fold.group and {"folders": fold.group.folders, "unified": fold.group.unified},
            "channels": list(fold.channels),
        }
        try:
            wire.send(client, answer, list(fold.channels.values()))
        except OSError:
            fold.kill()
        for descriptor in fold.channels.values():
            os.close(descriptor)
        fold.channels = {}
        self._folds[fold.pid] = fold
        self._selector.register(client, selectors.EVENT_READ, lambda: self._hear_client(fold))
        self._spare_due = time.monotonic() + _START_S
        self._retire_if_worn()

    def _hear_client(self, fold: Fold) -> None:
        """Kill the fold: a client speaks, or goes, only for that."""
        if fold.client is None:
            return
        with contextlib.suppress(OSError):
            if fold.client.recv(64):
                fold.kill()
                return
        self._selector.unregister(fold.client)
        fold.client.close()
        fold.client = None
        fold.kill()

    def _retire_if_worn(self) -> None:
        self._count += 1
        # A thread that an import left behind may hold a lock at the moment of a fork.
        grown = len(os.listdir("/proc/self/task")) > self._threads
        if self._count == self._settings.folds_per_zygote or (grown and not self._retiring):
            self._threads = sys.maxsize
            wire.send(self._warden, {"worn": self._count})

    def _try_fork(self, client: socket.socket | None = None) -> Fold | None:
        try:
            fold = self._forks.fork()
        except OSError as error:
            self._spare_due = time.monotonic() + _RETRY_S
            print(f"datarun zygote: cannot make a fold's process: {error}", file=sys.stderr)
            if client is not None:
                with contextlib.suppress(OSError):
                    wire.send(client, {"error": str(error)})
            return None
        with contextlib.suppress(OSError):
            wire.rehearse()
        return fold

    def _reap(self) -> bool:
        """Take leave of what has ended; says whether a fold was among it."""
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
                self._spare.kill()
                self._forget(self._spare)
                self._spare = None
                self._spare_due = time.monotonic() + _RETRY_S
            elif pid == self._forks.spawner:
                self.end()
        if ended and not self._forks.full:
            processes.sweep(self._mine, self._reap_all)
        self._remove_groups()
        return ended

    def _mine(self) -> list[int]:
        return [*self._folds, *([self._spare.pid] if self._spare else [])]

    def _reap_all(self) -> None:
        """Reap adopted processes; a fold that ends meanwhile is left to `_reap`."""
        mine = set(self._mine())
        for pid in processes.children(os.getpid()):
            if pid not in mine:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _finish(self, fold: Fold, status: int, cpu_s: float) -> None:
        fold.kill()
        if not self._forks.full:
            processes.sweep(self._mine, self._reap_all)
        if fold.client is not None:
            with contextlib.suppress(OSError):
                oom_kills = 0 if fold.group is None else fold.group.oom_kills()
                wire.send(fold.client, {"status": status, "cpu_s": cpu_s, "oom_kills": oom_kills})
            self._selector.unregister(fold.client)
            fold.client.close()
            fold.client = None
        self._forget(fold)

    def _forget(self, fold: Fold) -> None:
        fold.close()
        if not self._forks.full:
            remove_tree(fold.home)
        if fold.group is not None:
            self._dead_groups.append(fold.group)

    def _remove_groups(self) -> None:
        self._dead_groups = [group for group in self._dead_groups if not group.remove()]


def main() -> None:
    """Run the zygote; the warden gives its settings as one JSON argument."""
    settings = Settings(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGTERM)
    limit: list[Callable[[int], None]] = []
    server = Server(settings, lambda count: limit[0](count))
    try:
        server.set_up()
        with heap.kept_together():
            limit.append(import_modules())
        server.serve()
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(socket.socket(fileno=os.dup(settings.warden)), {"failed": str(error)})
        server.end()


if __name__ == "__main__":
    main()
