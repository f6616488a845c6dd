"""Celery's prefork pool, ended as soon as no slot is at work.

Celery waits for its pool's threads and processes one after the other, for seconds, even when
nothing runs. Nothing is lost by killing idle slots: results go to the master over HTTP, and are
committed before the task returns.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery.concurrency.prefork import TaskPool


class Busy:
    """Which slots are at work: each holds a lock, which the kernel frees when the slot dies."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("datarun-busy")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Mark the calling slot as at work while the context is open."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, os.getpid())
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, os.getpid())

    @property
    def nobody(self) -> bool:
        """Whether no slot is at work; for the main process."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        return True


class SlotPool(TaskPool):  # type: ignore[misc]
    """The processes of a runner's slots."""

    busy = Busy()

    def on_stop(self) -> None:
        """Wait for the slots to become idle, then end them."""
        pool: Any = self._pool  # type: ignore[has-type]
        if pool is None:
            return
        pool.close()
        while not self.busy.nobody:
            time.sleep(0.01)
        pids = [process.pid for process in pool._pool]
        self._pool = None
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
