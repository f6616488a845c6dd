"""Results on their way in: a slow line, or a judge that takes long, costs nobody the lease."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from datarun_ext.errors import Fenced
from datarun_ext.models import SubmissionFold, Task
from datarun_ext.protocol import (
    FoldOutcome,
    FoldProgress,
    PreflightOutcome,
    Reason,
    SplitOutcome,
    SplitProgress,
    pack_outcome,
    whose_result,
)
from datarun_ext.services.arrival import LARGE, held
from datarun_ext.services.database import now
from datarun_ext.services.gate import Gate
from datarun_ext.services.splits import Splits
from tests.unit.world import ALICE, TEST, TRAIN, World, claim_of


def result(fold_id: int, attempt: int) -> bytes:
    outcome = FoldOutcome(
        fold_id=fold_id, attempt=attempt, full_train_shape=TRAIN.shape, test_shape=TEST.shape
    )
    return pack_outcome(outcome, TRAIN.tobytes(), TEST.tobytes())


async def running(world: World) -> tuple[SubmissionFold, bytes]:
    fold_id = await world.new_fold()
    (bell,) = await world.dispatch()
    job = await world.claim(bell)
    return await world.fold(fold_id), result(fold_id, job.attempt)


async def has_lease(world: World, fold_id: int) -> bool:
    fold = await world.fold(fold_id)
    return fold.lease_until is not None and fold.lease_until > now()


def test_whose_a_result_is() -> None:
    for fold_id, attempt in ((1, 2), (2**53, 1764075000000)):
        expected = FoldProgress(fold_id=fold_id, attempt=attempt)
        body = result(fold_id, attempt)
        assert whose_result(body) == expected
        assert whose_result(body[:120]) == expected
        assert whose_result(body[:20]) is None
    task_id = "6f1c2d1e-0000-4000-8000-000000000000"
    for outcome in (SplitOutcome, PreflightOutcome):
        text = outcome(task_id=task_id, attempt=3, reason=Reason.USER_ERROR).model_dump_json()
        assert whose_result(text.encode()) == SplitProgress(task_id=task_id, attempt=3)
    for junk in (b"", b"\0\0\0\1", b'{"fold_id":x,"attempt":1}', b"{" * 300, b'{"attempt":1}'):
        assert whose_result(junk) is None


async def test_a_large_result_renews_at_its_first_piece(world: World) -> None:
    fold, body = await running(world)
    arrival = world.gate.arrival(size=LARGE + 1)
    await world.expire()
    for piece in (body[:7], body[7:300]):  # the first one does not say yet whose it is
        await arrival.take(piece)
    assert await has_lease(world, fold.databoard_sf_id)
    assert await world.reconciler.look() == 0
    await arrival.take(body[300:])
    await world.gate.fold_result(body=arrival.body())
    assert (await world.fold(fold.databoard_sf_id)).stage == "TESTED"


async def test_a_slow_line_renews_again_and_again(world: World) -> None:
    gate = quick_gate(world)
    fold, body = await running(world)
    arrival = gate.arrival(size=len(body))
    for place in range(0, len(body), 100):
        await asyncio.sleep(0.03)  # longer than a quarter of the lease
        await world.expire()
        await arrival.take(body[place : place + 100])
        # From the piece on that says whose it is.
        assert place == 0 or (await world.fold(fold.databoard_sf_id)).lease_until != 1.0
    assert arrival.body() == body


async def test_what_is_no_longer_wanted_is_not_kept(world: World) -> None:
    fold, body = await running(world)
    await world.folds.cancel(who=ALICE, fold_id=fold.databoard_sf_id)
    arrival = world.gate.arrival(size=LARGE + 1)
    for _ in range(3):
        await arrival.take(body)
    with pytest.raises(Fenced):
        arrival.body()


async def test_a_split_keeps_its_lease_too(world: World) -> None:
    splits = Splits(db=world.db, wake=lambda: None)
    task = await splits.split(who=ALICE, raw_data_id=world.raw_data_id, held_out_test=1)
    (bell,) = await world.dispatch()
    await world.gate.claim_split(claim=claim_of(bell))
    await world.expire()
    arrival = world.gate.arrival(size=LARGE + 1)
    outcome = SplitOutcome(task_id=task.id, attempt=bell.attempt)
    await arrival.take(outcome.model_dump_json().encode())
    found = await world.db.read(lambda session: session.get_one(Task, task.id))
    assert found.lease_until is not None
    assert found.lease_until > now()


async def test_the_lease_is_kept_while_a_result_is_judged(world: World) -> None:
    gate = quick_gate(world)
    fold, _ = await running(world)
    fold_id = fold.databoard_sf_id
    subject = FoldProgress(fold_id=fold_id, attempt=fold.attempt)
    async with held(gate.renew, subject, lease_s=gate.settings.lease_s):
        for _ in range(3):
            await world.expire()
            async with asyncio.timeout(30):
                while (await world.fold(fold_id)).lease_until == 1.0:
                    await asyncio.sleep(0.01)
    async with asyncio.timeout(30):  # and not for ever
        while True:
            await world.expire()
            await asyncio.sleep(0.2)
            if (await world.fold(fold_id)).lease_until == 1.0:
                break


def quick_gate(world: World) -> Gate:
    """A gate with a lease of a tenth of a second."""
    settings = replace(world.settings, lease_s=0.1)
    return Gate(db=world.db, settings=settings, hub=world.hub, wake=lambda: None)
