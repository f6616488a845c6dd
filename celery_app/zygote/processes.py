"""Finding and ending processes that do not want to end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable


def children(pid: int) -> list[int]:
    """Return the children of a process, whichever of its threads started them."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            # As bytes: a decoder may have to be imported first, which fails in a process that ends.
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def family(pids: Iterable[int]) -> list[int]:
    """Return these processes and all their descendants."""
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children(pid)
    return found


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone."""
    try:
        os.kill(pid, number)
    except OSError:
        pass


def kill_family(pids: Iterable[int]) -> None:
    """Kill processes and all their descendants, also while they fork as fast as they can."""
    roots = list(pids)
    stopped: set[int] = set()
    while fresh := [pid for pid in family(roots) if pid not in stopped]:
        for pid in fresh:
            send_signal(pid, signal.SIGSTOP)
        stopped.update(fresh)
    for pid in stopped:
        send_signal(pid, signal.SIGKILL)


def sweep(
    mine: Callable[[], Iterable[int]], reap: Callable[[], None], seconds: float = 5.0
) -> None:
    """End every child of this process but `mine`, and those that are adopted meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        keep = set(mine())
        strangers = [pid for pid in children(os.getpid()) if pid not in keep]
        if not strangers:
            return
        kill_family(strangers)
        reap()
        time.sleep(0.001)
