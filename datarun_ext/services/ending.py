"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

AGAIN_S = 0.5


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel these tasks, as often as it takes, and wait for their end.

    `asyncio.wait_for`, which redis-py sends with, loses a cancellation on Python 3.11 when what it
    waits for is done in the same moment: the task would go on, and whoever waits for it for ever.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    # Whatever else they ended with has been told of where it happened.
    await asyncio.gather(*tasks, return_exceptions=True)
