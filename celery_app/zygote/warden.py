"""The warden: starts zygotes, replaces them, and ends everything when the runner is gone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import Any

from celery_app.sandbox import cgroup, libc
from celery_app.sandbox.layout import FOLD_UID
from celery_app.zygote import processes, wire
from celery_app.zygote.folders import remove_tree

SANDBOX_UIDS = (1_800_000_000, 165_536, 60_123)
"""Users that exist nowhere, the first that can be mapped is taken: a container may have few."""
_MOST_FAILURES = 5


@dataclasses.dataclass(slots=True)
class _Zygote:
    process: subprocess.Popen[bytes]
    socket: socket.socket
    ready: bool = False


class Warden:
    """Supervises the zygote of one runner."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._root = os.geteuid() == 0
        self._parent = os.pidfd_open(config["parent"])
        self._report = config["report"]
        self._zygotes: list[_Zygote] = []
        self._failures = 0
        self._groups = cgroup.find(f"{cgroup.PREFIX}{os.getpid()}")

    def run(self) -> None:
        """Supervise until the runner ends."""
        if os.getppid() != self._config["parent"]:
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
        self._start()
        while True:
            sockets = {zygote.socket.fileno(): zygote for zygote in self._zygotes}
            poll = select.poll()
            for descriptor in (self._parent, self._report, *sockets):
                # Of the report only its closing is waited for.
                poll.register(descriptor, 0 if descriptor == self._report else select.POLLIN)
            for descriptor, _ in poll.poll():
                if descriptor in sockets:
                    self._hear(sockets[descriptor])
                else:
                    self.end()

    def end(self) -> None:
        """Kill everything below, and leave."""
        with contextlib.suppress(OSError):
            os.unlink(self._config["socket"])
        processes.sweep(lambda: (), _reap)
        if self._groups is not None:
            self._groups.remove()
        remove_tree(self._config["homes"])
        remove_tree(self._config["folder"])
        os._exit(0)

    def _start(self) -> None:
        here, there = wire.pair()
        settings = {
            "level": self._config["level"],
            "folder": self._config["folder"],
            "homes": self._config["homes"],
            "cache_dir": self._config["cache_dir"],
            "listener": self._config["listener"],
            "warden": there.fileno(),
            "uid": os.geteuid(),
            "sandbox_uid": SANDBOX_UIDS[0],
            "groups": None if self._groups is None else dataclasses.asdict(self._groups),
            "folds_per_zygote": self._config["folds_per_zygote"],
            "extra_paths": self._config["extra_paths"],
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "celery_app.zygote.server", json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._config["listener"], there.fileno()),
        )
        there.close()
        self._zygotes.append(_Zygote(process, here))

    def _hear(self, zygote: _Zygote) -> None:
        try:
            message, _ = wire.receive(zygote.socket)
        except ConnectionError:
            self._replace(zygote)
            return
        if "map" in message:
            wire.send(zygote.socket, self._map(message["map"]))
        elif "worn" in message:
            self._start()
        elif "failed" in message:
            self._tell({"failed": message["failed"]})
        elif "ready" in message:
            zygote.ready = True
            self._failures = 0
            self._tell({"ready": True, "pid": zygote.process.pid})
            for other in self._zygotes:
                if other is not zygote and other.ready:
                    with contextlib.suppress(OSError):
                        wire.send(other.socket, {"stop": True})

    def _replace(self, zygote: _Zygote) -> None:
        """Take a zygote that has ended out; start another one if it was the last."""
        zygote.process.kill()
        zygote.process.wait()
        zygote.socket.close()
        self._zygotes.remove(zygote)
        processes.sweep(
            lambda: [other.process.pid for other in self._zygotes], self._reap_strangers
        )
        if not self._zygotes:
            for name in os.listdir(self._config["homes"]):
                remove_tree(f"{self._config['homes']}/{name}")
            self._failures += 1
            if self._failures >= _MOST_FAILURES or not zygote.ready:
                self._tell({"failed": "the zygote ended while it was being set up"})
                self.end()
            self._start()

    def _map(self, pid: int) -> dict[str, Any]:
        """Map users into the zygote's namespace; only a process outside may map two."""
        uid, gid = os.geteuid(), os.getegid()
        if not self._root:
            _write(f"/proc/{pid}/setgroups", "deny")
        second = [f"\n{FOLD_UID} {other} 1" for other in SANDBOX_UIDS] if self._root else []
        for kind, own in (("gid", gid), ("uid", uid)):
            for index, line in enumerate([*second, ""]):
                try:
                    _write(f"/proc/{pid}/{kind}_map", f"0 {own} 1{line}")
                except OSError as error:
                    problem = str(error)
                    continue
                # The other map must be of the same kind.
                second = second[index : index + 1]
                break
            else:
                return {"error": f"users cannot be mapped: {problem}"}
        return {"mapped": bool(second)}

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            os.write(self._report, json.dumps(message).encode() + b"\n")

    def _reap_strangers(self) -> None:
        own = {zygote.process.pid for zygote in self._zygotes}
        for pid in processes.children(os.getpid()):
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def main() -> None:
    """Run the warden; its client gives its settings as one JSON argument."""
    Warden(json.loads(sys.argv[1])).run()
