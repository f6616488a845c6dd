"""What is told to end does so, also if it does not hear that at first."""

from __future__ import annotations

import asyncio

from datarun_ext.services.ending import end_tasks


async def test_a_task_that_lost_its_cancellation() -> None:
    lost = 0

    async def go_on(nudge: asyncio.Event) -> None:
        nonlocal lost
        while True:
            try:
                await nudge.wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                # As `asyncio.wait_for` of Python 3.11 did when both came at once.
                lost += 1
            nudge.clear()

    nudge = asyncio.Event()
    tasks = [asyncio.create_task(go_on(nudge)), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await end_tasks(tasks)
    assert lost == 1
    assert tasks[0].cancelled()
    assert not tasks[1].cancelled()


async def test_what_it_ended_with_is_not_raised() -> None:
    async def fail() -> None:
        raise ValueError

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await end_tasks([task, asyncio.create_task(asyncio.sleep(60))])
    assert isinstance(task.exception(), ValueError)
