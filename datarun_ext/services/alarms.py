"""Why a cancelled fold ends within a second although a runner reports only every few seconds.

A runner keeps one request open; it is answered as soon as any fold was cancelled, replaced or
deleted. The runner then asks for each of its folds whether it must end. An alarm names no fold, so
a runner can hear one too many, and never one too few.
"""

from __future__ import annotations

import asyncio

from datarun_ext.protocol import Reason
from datarun_ext.services.events import Happening


class Alarms:
    """Remembers the last event after which a running fold may have to end."""

    def __init__(self) -> None:
        self._newest = 0
        self._changed = asyncio.Event()

    def hear(self, happening: Happening) -> None:
        """Take in what happened."""
        data = happening.data
        if data.get("deleted") or data.get("reason") == Reason.CANCELLED:
            self._newest = happening.seq
            self._changed.set()
            self._changed = asyncio.Event()

    async def after(self, alarm: int, *, wait_s: float) -> int:
        """Return the newest alarm, as soon as it is another than `alarm`, or after a while."""
        if self._newest == alarm and wait_s:
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self._newest
