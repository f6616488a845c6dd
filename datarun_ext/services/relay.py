"""How several masters on one database tell each other that something was committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any

from redis import RedisError
from redis.asyncio import Redis

from datarun_ext.services.ending import end_tasks

log = logging.getLogger("datarun.relay")

CHANNEL = "datarun:events"
GATHER_S = 0.1
"""Announcements within this time become one: the others read the table anyway."""
LOOK_S = 1.0
RETRY_S = 2.0


class RedisRelay:
    """Announces the newest sequence number to the other masters, and hears theirs."""

    def __init__(self, *, nudge: Callable[[], None]) -> None:
        self._nudge = nudge
        self._me = uuid.uuid4().hex
        self._seq = 0
        self._wake = asyncio.Event()
        self._redis: Redis | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, url: str) -> None:
        """Use this Redis from now on."""
        await self.close()
        self._redis = Redis.from_url(url, socket_connect_timeout=5)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._speak()), loop.create_task(self._listen())]

    def announce(self, seq: int) -> None:
        """Say soon that something was committed."""
        self._seq = seq
        self._wake.set()

    async def close(self) -> None:
        """Stop speaking and listening."""
        await end_tasks(self._tasks)
        self._tasks = []
        if self._redis is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._redis.aclose()
            self._redis = None

    def _is_own(self, message: dict[str, Any]) -> bool:
        return bool(message["type"] == "message" and message["data"].startswith(self._me.encode()))

    async def _speak(self) -> None:
        assert self._redis is not None
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            try:
                await self._redis.publish(CHANNEL, f"{self._me} {self._seq}")
            except (RedisError, OSError) as error:
                log.info("Other masters hear of changes late: %s", error)
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _listen(self) -> None:
        assert self._redis is not None
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    while True:
                        message = await channel.get_message(timeout=LOOK_S)
                        # Redis promises no delivery, and what was announced before the
                        # subscription stood is only in the table: so silence is a reason to
                        # look too.
                        if message is None or not self._is_own(message):
                            self._nudge()
            except (RedisError, OSError) as error:
                log.info("Changes by other masters are seen late: %s", error)
                await asyncio.sleep(RETRY_S)
