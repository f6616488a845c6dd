"""The embedded default: a private Redis and a runner, both children of one master of this user.

Of several masters that share a runtime folder the one that holds the lock has the children; the
others use them, and take over when it goes. Children die with their master: the kernel sees to it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from datarun_ext.config import Settings
from datarun_ext.errors import Unavailable
from datarun_ext.services import children
from datarun_ext.services.ending import end_tasks
from datarun_ext.services.share import Share, Shared, ping

log = logging.getLogger("datarun.pool")

WATCH_S = 0.2
RETRY_S = 2.0
RESTART_S = (0.2, 1.0, 5.0, 15.0)
RUNNER_LOG = "runner.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEvents:
    """What the pool tells the rest of the master."""

    connected: Callable[[Shared], Awaitable[None]]
    """There is a broker, for the first time or another one."""
    messages_lost: Callable[[], Awaitable[Any]]
    runner_died: Callable[[int, bool], Awaitable[Any]]
    """(pid, whether it was a fault)"""
    listen: Callable[[Path], None]
    """Serve HTTP on this socket too."""


class Pool:
    """Starts and watches the children, or uses another master's."""

    def __init__(self, *, settings: Settings, base_url: str, events: PoolEvents) -> None:
        self.settings = settings
        self.base_url = base_url
        self.events = events
        self.shared: Shared | None = None
        self.problem = ""
        """Why there is no pool, in words for a person; empty when all is well."""
        self.problem_log = ""
        """What the part that fails wrote, for the operator."""
        self.leads = False
        self._listens = False
        self._told = False
        """Whether the rest of the master knows of the Redis that runs."""
        # PDEATHSIG fires when the *thread* that forked ends, so one thread stays for it.
        self._forker = ThreadPoolExecutor(1, "datarun-children")
        self._share = Share(settings)
        self._redis: children.Child | None = None
        self._runner: children.Child | None = None
        self._runner_failures = 0
        self._runner_since = 0.0
        self._runner_next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def start(self) -> None:
        """Bring the pool up in the background, if it is not up already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def ready(self, timeout: float) -> bool:
        """Wait until there is a broker; False if that takes longer."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the children, and give the lock to whoever wants it."""
        if self._task is not None:
            await end_tasks([self._task])
        await asyncio.get_running_loop().run_in_executor(self._forker, self._end_children)
        if self._runner is not None:
            await self.events.runner_died(self._runner.pid, False)
        if self.leads and self.shared is not None:
            self._share.forget(self.shared)
        self._share.release()
        self._forker.shutdown(wait=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
                self.problem = self.problem_log = ""
            except (OSError, Unavailable, redis.RedisError) as error:
                said = error.log if isinstance(error, children.DoesNotStart) else ""
                if not self.problem:
                    log.error("The runner pool cannot be started: %s %s", error, said)
                self.problem, self.problem_log = str(error), said
                await asyncio.sleep(RETRY_S)
            except Exception as error:
                log.exception("The runner pool cannot be watched")
                self.problem, self.problem_log = f"{type(error).__name__}: {error}", ""
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(WATCH_S)

    async def _look(self) -> None:
        if not self.leads and not await asyncio.to_thread(self._share.take_lock):
            await self._follow()
            return
        self.leads = True
        loop = asyncio.get_running_loop()
        if self._redis is None or self._redis.poll() is not None:
            self._told = False
            await loop.run_in_executor(self._forker, self._start_redis)
        if not self._told:
            # Until all of it has worked: the database may be away just now.
            assert self.shared is not None
            if not self._listens:
                self.events.listen(Path(self.shared.master_socket))
                self._listens = True
            # Also at the first start: what was announced to an earlier Redis is gone with it.
            await self.events.messages_lost()
            await self.events.connected(self.shared)
            self._told = True
            self._ready.set()
        if self.settings.local_runner:
            await self._look_at_runner()

    async def _look_at_runner(self) -> None:
        if self._runner is not None and self._runner.poll() is None:
            if time.monotonic() - self._runner_since > RESTART_S[-1]:
                self._runner_failures = 0
            return
        if self._runner is not None:
            log.warning("The runner ended with code %s; starting another.", self._runner.returncode)
            await self.events.runner_died(self._runner.pid, True)
            self._runner = None
            wait = RESTART_S[min(self._runner_failures, len(RESTART_S) - 1)]
            self._runner_next = time.monotonic() + wait
            self._runner_failures += 1
        if time.monotonic() < self._runner_next:
            return
        await asyncio.get_running_loop().run_in_executor(self._forker, self._start_runner)

    @property
    def runner_fails(self) -> bool:
        """Whether the own runner ends as soon as it is started, again and again."""
        return self._runner_failures >= 2

    def runner_log(self) -> str:
        """Return the last that the own runner has written."""
        return children.tail(self.settings, RUNNER_LOG)

    async def _follow(self) -> None:
        shared = await asyncio.to_thread(self._share.read)
        if shared is None:
            return
        await asyncio.to_thread(ping, shared)
        if shared != self.shared:
            self.shared = shared
            await self.events.connected(shared)
        self._ready.set()

    def _start_redis(self) -> None:
        before = self.shared if self._redis is not None else None
        self._redis, self.shared = children.start_redis(
            self.settings, self._share.socket_folder(), before=before
        )
        self._share.write(self.shared)

    def _start_runner(self) -> None:
        assert self.shared is not None
        self._runner = children.start_runner(self.settings, self.shared, self.base_url)
        self._runner_since = time.monotonic()

    def _end_children(self) -> None:
        children.end(self._runner)
        children.end(self._redis)


def host_name() -> str:
    """Return this machine's name, as a runner states it."""
    return socket.gethostname()
