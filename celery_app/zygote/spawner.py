"""The small process that forks the init of each fold, and that init.

Forking from here instead of from the zygote copies a few MB of page tables instead of hundreds.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from celery_app.sandbox import libc, mounts
from celery_app.zygote import wire

_FIRST_SIZE = 64 << 20


def start(base: str, room: str) -> tuple[int, socket.socket]:
    """Fork the spawner; returns its pid and the socket that orders inits."""
    here, there = wire.pair()
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            here.close()
            _spawn_for_ever(there, base, room)
        except BaseException as error:
            print(f"datarun spawner: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0)
    there.close()
    return pid, here


def _spawn_for_ever(orders: socket.socket, base: str, room: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            _, (control,) = wire.receive(orders)
        except ConnectionError:
            return
        pid = libc.fork_into(libc.CLONE_NEWPID | libc.CLONE_NEWNS)
        if pid == 0:
            try:
                _init(socket.socket(fileno=control), base, room)
            except BaseException as error:
                print(f"datarun init: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(0)
        os.close(control)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            wire.send(orders, {})
            continue
        wire.send(orders, {"pid": pid}, [descriptor])
        os.close(descriptor)


def _init(control: socket.socket, base: str, room: str) -> None:
    """Make the fold's mounts, then live until the control socket closes: all die with init."""
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    # The zygote can enter the namespaces of a dumpable process only. The fold still cannot look
    # into this one, which has capabilities in a user namespace above the fold's.
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    control = socket.socket(fileno=os.dup2(control.detach(), 3))
    libc.close_from(4)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _answer(control, lambda: mounts.make_root(base, room, _FIRST_SIZE))
    wire.rehearse()
    mounts.rehearse()
    while True:
        try:
            message, _ = wire.receive(control)
        except (ConnectionError, ValueError):
            return
        _answer(control, lambda message=message: _furnish(message))


def _furnish(message: dict[str, Any]) -> None:
    mounts.furnish(message["disk"], message["readonly"], message["writable"])


def _answer(control: socket.socket, work: Any) -> None:
    try:
        work()
    except OSError as error:
        wire.send(control, {"error": str(error)})
    else:
        wire.send(control, {})
