"""The order in which folds leave the queue: priority, then fair share, then age."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from sqlalchemy.orm import Session

from datarun_ext.models import Priority, Stage
from datarun_ext.models.tables import FOLDS
from datarun_ext.services.database import now
from datarun_ext.services.dispatch import Dispatcher, Publisher
from datarun_ext.services.queue import capacity, in_order, position
from tests.unit.world import ALICE, BOB, ROOT, World


async def order(world: World) -> list[int]:
    """Walk through the queue, and check that every fold knows its place in it."""

    def work(session: Session) -> list[int]:
        folds = [
            queued.fold_id for queued in in_order(session, room=dict.fromkeys(Priority, 10_000))
        ]
        assert [position(session, fold_id=fold_id) for fold_id in folds] == list(
            range(1, len(folds) + 1)
        )
        return folds

    return await world.db.read(work)


async def test_high_before_low_then_by_age(world: World) -> None:
    for number in (3, 1, 2):
        await world.new_fold(number)
    await world.new_fold(4, priority=Priority.HIGH)
    assert await order(world) == [4, 3, 1, 2]


async def test_a_heavy_user_blocks_nobody(world: World) -> None:
    bobs = await world.new_dataset("bobs", BOB)
    for number in range(1, 7):
        await world.new_fold(number)
    for number in (11, 12):
        await world.new_fold(number, 2, who=BOB, raw_data_id=bobs)
    assert await order(world) == [1, 11, 2, 12, 3, 4, 5, 6]
    # Who has folds at work already comes after who has none.
    await world.register(slots=1)
    bells = await world.dispatch()
    assert [bell.work_id for bell in bells] == [1, 11]
    await world.claim(bells[0])
    job = await world.claim(bells[1])
    await world.finish(11, job.attempt)
    assert await order(world) == [12, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("seed", range(3))
async def test_places_are_counted_as_the_queue_is_walked(world: World, seed: int) -> None:
    random = Random(seed)
    stages = (Stage.QUEUED,) * 3 + (Stage.DISPATCHED, Stage.RUNNING, Stage.WAITING, Stage.ERROR)
    first = await world.new_fold(1)

    def fill(session: Session) -> None:
        (row,) = session.execute(FOLDS.select()).mappings()
        for fold_id in range(2, 82):
            changes = {
                "databoard_sf_id": fold_id,
                "owner": random.choice(("alice", "bob", "Carl", "dora")),
                "priority": random.choice(list(Priority)),
                "stage": random.choice(stages),
                "created": float(random.randrange(8)),
            }
            session.connection().execute(FOLDS.insert(), {**row, **changes})

    await world.db.write(fill)
    found = await order(world)
    assert first in found
    assert len(found) > 20


async def test_only_a_few_messages_for_each_slot(world: World) -> None:
    for number in range(1, 21):
        await world.new_fold(number, priority=Priority.HIGH if number > 15 else Priority.LOW)
    assert len(await world.dispatch()) == 4  # nobody is there: two of each queue
    assert await world.dispatch() == []
    await world.register(slots=3)
    bells = await world.dispatch()
    assert [bell.work_id for bell in bells] == [18, 19, 20, 3, 4, 5, 6]
    assert [bell.queue for bell in bells] == ["H"] * 3 + ["L"] * 4
    assert await world.dispatch() == []
    assert len({bell.task_id for bell in bells}) == 7
    found = await world.db.read(capacity, alive_since=now() - 60)
    assert (found.total, found.slots) == (3, {"H": 3, "L": 3, "celery": 3})


async def test_place_in_the_queue(world: World) -> None:
    for number in (1, 2, 3):
        await world.new_fold(number)
    fold = await world.fold(3)
    place = await world.folds.place(fold=fold, now=now())
    assert place is not None
    assert (place.position, place.eta_s) == (3, None)
    await world.register(slots=2)
    bell, *_ = await world.dispatch()
    job = await world.claim(bell)

    def started_long_ago(session: Any) -> None:
        from datarun_ext.models import SubmissionFold

        session.get(SubmissionFold, 1).started_at = now() - 8

    await world.db.write(started_long_ago)
    await world.finish(1, job.attempt)
    await world.new_fold(4)
    await world.new_fold(5)
    place = await world.folds.place(fold=await world.fold(5), now=now())
    assert place is not None
    assert place.position == 2
    assert place.eta_s is not None
    assert 8 <= place.eta_s < 60
    assert await world.folds.place(fold=await world.fold(1), now=now()) is None


async def test_cancelled_folds_leave_the_queue(world: World) -> None:
    for number in (1, 2):
        await world.new_fold(number)
    await world.folds.cancel(who=ALICE, fold_id=1)
    assert await order(world) == [2]
    assert [bell.work_id for bell in await world.dispatch()] == [2]
    assert (await world.folds.get(who=ROOT, fold_id=1)).reason == "CANCELLED"


@pytest.mark.parametrize("turns", range(5))
async def test_stopping_what_was_just_woken(world: World, turns: int) -> None:
    """A cancellation that arrives together with the wake-up is not lost."""
    dispatcher = Dispatcher(db=world.db, settings=world.settings, publisher=Publisher())
    work = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(0.2)  # it has looked, found nothing, and waits
    dispatcher.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    done, _ = await asyncio.wait([work], timeout=30)
    assert done
    assert work.cancelled()
