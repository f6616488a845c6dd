"""Submit, dispatch, claim, commit, events: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from datarun_ext.codecs import pack_indices
from datarun_ext.errors import BadRequest, Fenced, InvalidField, NotFound
from datarun_ext.models import (
    Event,
    Priority,
    RawData,
    SplitState,
    Stage,
    Submission,
    SubmissionFold,
)
from datarun_ext.protocol import (
    FoldOutcome,
    FoldProgress,
    Labels,
    Phase,
    Reason,
    SplitOutcome,
    pack_outcome,
)
from datarun_ext.services.announce import dataset_event
from datarun_ext.services.database import Database
from datarun_ext.services.events import Happening
from datarun_ext.services.predictions import Predictions
from datarun_ext.services.splits import Splits
from tests.unit.world import ALICE, BOB, ROOT, TEST, TRAIN, World, claim_of


async def test_from_submit_to_commit(world: World) -> None:
    runner = await world.register()
    fold_id = await world.new_fold()
    (bell,) = await world.dispatch()
    assert (bell.work_id, bell.queue) == (fold_id, "L")
    job = await world.claim(bell, runner)
    assert job.fold_id == fold_id
    with pytest.raises(Fenced):
        await world.claim(bell, runner)
    progress = FoldProgress(fold_id=fold_id, attempt=job.attempt, done=(Phase.TRAIN,), log="x\0y")
    assert await world.gate.fold_progress(progress=progress)
    assert (await world.fold(fold_id)).output == "x\ufffdy"
    await world.finish(fold_id, job.attempt)
    fold = await world.fold(fold_id)
    assert fold.stage == Stage.TESTED
    assert fold.scores == {"validation_accuracy": 1.0, "test_accuracy": 1.0}
    await world.finish(fold_id, job.attempt)
    with pytest.raises(Fenced):
        await world.finish(fold_id, job.attempt - 1)


async def test_texts_and_numbers_that_a_database_cannot_hold(world: World) -> None:
    fold_id = await world.new_fold()
    (bell,) = await world.dispatch()
    job = await world.claim(bell)
    outcome = FoldOutcome(
        fold_id=fold_id,
        attempt=job.attempt,
        reason=Reason.USER_ERROR,
        detail="a\0b",
        traceback="a\0b",
        log="a\0b",
    )
    await world.gate.fold_result(body=pack_outcome(outcome))
    assert (await world.fold(fold_id)).traceback == "a\ufffdb"
    for number in (2**31, 2**53, 10**16):
        with pytest.raises(NotFound):
            await world.datasets.get(who=ROOT, raw_data_id=number)
        with pytest.raises(NotFound):
            await world.folds.get(who=ROOT, fold_id=number)
    with pytest.raises(BadRequest):
        await world.folds.get(who=ROOT, fold_id=2**70)


async def test_a_long_dtype_is_no_reason_to_lose_a_result(world: World) -> None:
    fold_id = await world.new_fold()
    (bell,) = await world.dispatch()
    job = await world.claim(bell)
    outcome = FoldOutcome(
        fold_id=fold_id,
        attempt=job.attempt,
        full_train_shape=TRAIN.shape,
        full_train_dtype="x" * 500,
        test_shape=TEST.shape,
        test_dtype="float64",
    )
    await world.gate.fold_result(body=pack_outcome(outcome, TRAIN.tobytes(), TEST.tobytes()))
    assert (await world.fold(fold_id)).stage == Stage.TESTED


async def test_force(world: World) -> None:
    await world.new_fold(1)
    with pytest.raises(InvalidField, match="already exists"):
        await world.new_fold(1)
    (bell,) = await world.dispatch()
    job = await world.claim(bell)
    old = await world.fold(1)
    await world.new_fold(1, replace_fold=True)
    new = await world.fold(1)
    assert new.attempt >= old.attempt
    with pytest.raises(Fenced):
        await world.finish(1, job.attempt)
    progress = FoldProgress(fold_id=1, attempt=job.attempt)
    assert not await world.gate.fold_progress(progress=progress)
    (bell,) = await world.dispatch()
    assert bell.attempt > job.attempt
    await world.new_fold(2)
    await world.new_fold(3, replace_submission=True, files={"classifier.py": b"2\n"})
    assert [fold.databoard_sf_id for fold in await _folds(world)] == [3]
    with pytest.raises(InvalidField, match="not yours"):
        await world.new_fold(4, who=BOB)


async def test_ids_are_assigned_after_the_highest(world: World) -> None:
    assert await world.new_fold(None, None) == 1
    assert await world.new_fold(70, 9) == 70
    assert await world.new_fold(None, None) == 71

    def ids(session: Any) -> list[int]:
        return list(session.scalars(select(Submission.databoard_s_id).order_by("databoard_s_id")))

    assert await world.db.read(ids) == [1, 9, 10]


async def test_what_is_refused_leaves_no_file(world: World) -> None:
    folder = world.settings.submission_dir
    await world.new_fold(1)
    before = sorted(folder.rglob("*"))
    for arguments, changes in (
        ((1, 5), {}),
        ((2, 5), {"raw_data_id": 99}),
        ((2, 5), {"files": {}}),
        ((2, 1), {"raw_data_id": 99}),
        ((1, 1), {"files": {"../x": b""}, "replace_fold": True}),
    ):
        with pytest.raises((InvalidField, NotFound)):
            await world.new_fold(*arguments, **changes)
    assert sorted(folder.rglob("*")) == before


async def test_concurrent_writers_neither_deadlock_nor_disturb_the_order(world: World) -> None:
    """A cancel of many folds and their runners' signs of life touch the same rows."""
    await world.register(slots=40)
    await asyncio.gather(*(world.new_fold(number) for number in range(1, 31)))
    jobs = [await world.claim(bell) for bell in await world.dispatch()]
    assert len(jobs) == 30
    seen: list[int] = []
    watcher = world.hub.watch(ROOT)

    async def watch() -> None:
        async for item in watcher:
            if isinstance(item, Happening):
                seen.append(item.seq)

    watching = asyncio.create_task(watch())

    async def beat(number: int) -> None:
        for job in jobs[number::3]:
            progress = FoldProgress(
                fold_id=job.fold_id, attempt=job.attempt, done=(Phase.TRAIN,), log="."
            )
            await world.gate.fold_progress(progress=progress)

    async def commit(number: int) -> None:
        for job in reversed(jobs[number::3]):
            try:
                await world.finish(job.fold_id, job.attempt)
            except Fenced:
                continue

    await asyncio.gather(
        *(beat(number) for number in range(3)),
        *(commit(number) for number in range(3)),
        world.folds.cancel_all(who=ALICE, submission_id=1),
        world.reconciler.look(),
        *(world.new_fold(number) for number in range(101, 111)),
    )
    stages = {fold.stage for fold in await _folds(world) if fold.databoard_sf_id <= 30}
    assert stages <= {Stage.TESTED, Stage.ERROR}
    newest = await world.db.read(lambda session: session.scalar(select(func.max(Event.seq))))
    async with asyncio.timeout(30):
        while not seen or seen[-1] < newest:
            await asyncio.sleep(0.01)
    assert seen == sorted(set(seen))
    world.hub.close()
    await watching


async def test_each_fold_ends_once(world: World) -> None:
    await world.register(slots=40)
    for number in range(1, 11):
        await world.new_fold(number)
    bells = await world.dispatch()
    claims = await asyncio.gather(
        *(world.claim(bell) for bell in bells for _ in range(3)), return_exceptions=True
    )
    jobs = [job for job in claims if not isinstance(job, BaseException)]
    assert len(jobs) == 10
    assert all(isinstance(job, Fenced) for job in claims if isinstance(job, BaseException))
    await asyncio.gather(
        *(world.finish(job.fold_id, job.attempt) for job in jobs for _ in range(3)),
        *(world.finish(job.fold_id, job.attempt, Reason.USER_ERROR) for job in jobs),
        return_exceptions=True,
    )

    def ends(session: Any) -> dict[str, int]:
        query = select(Event).where(Event.kind == "fold")
        found: dict[str, int] = {}
        for event in session.scalars(query):
            if event.data["stage"] in ("TESTED", "ERROR"):
                found[event.ref] = found.get(event.ref, 0) + 1
        return found

    assert await world.db.read(ends) == {str(number): 1 for number in range(1, 11)}


async def test_predictions_are_new_once(world: World) -> None:
    for number in (1, 2):
        await world.new_fold(number)
    for bell in await world.dispatch():
        job = await world.claim(bell)
        await world.finish(job.fold_id, job.attempt)
    predictions = Predictions(db=world.db)
    got = await asyncio.gather(*(predictions.new(who=ALICE) for _ in range(5)))
    assert sorted(fold.databoard_sf_id for part in got for fold in part) == [1, 2]
    assert await predictions.of(who=BOB, fold_ids=[1, 2]) == []


async def test_deleted_with_its_dataset(world: World) -> None:
    await world.new_fold(1)
    await world.datasets.delete(who=ALICE, raw_data_id=world.raw_data_id)
    assert await _folds(world) == []
    assert not list(world.settings.submission_dir.iterdir())


async def test_priority_and_rerun(world: World) -> None:
    await world.new_fold(1)
    fold = await world.folds.set_priority(who=ALICE, fold_id=1, priority=Priority.HIGH)
    assert fold.priority == Priority.HIGH
    (bell,) = await world.dispatch()
    assert bell.queue == "H"
    job = await world.claim(bell)
    await world.finish(1, job.attempt)
    await world.folds.rerun(who=ALICE, fold_id=1, broker_up=True)
    fold = await world.fold(1)
    assert (fold.stage, fold.full_train_predictions, fold.scores) == (Stage.QUEUED, None, {})
    with pytest.raises(Fenced):
        await world.finish(1, job.attempt)


async def test_a_failed_transaction_is_not_heard_of(database: Database, world: World) -> None:
    heard: list[object] = []
    database.on_commit = heard.append

    def work(session: Any) -> None:
        dataset = session.get(RawData, world.raw_data_id)
        dataset.split_state = SplitState.ERROR
        dataset_event(session, dataset)
        raise ValueError

    with pytest.raises(ValueError):
        await database.write(work)
    assert heard == []
    dataset = await world.datasets.get(who=ALICE, raw_data_id=world.raw_data_id)
    assert dataset.split_state == SplitState.DONE


async def _folds(world: World) -> list[SubmissionFold]:
    query = select(SubmissionFold).order_by(SubmissionFold.databoard_sf_id)
    return await world.db.read(lambda session: list(session.scalars(query)))


async def test_a_new_split_sends_again_what_was_sent_before_it(world: World) -> None:
    splits = Splits(db=world.db, wake=lambda: None)
    running, beyond = await world.new_fold(1), await world.new_fold(2)
    bells = await world.dispatch()
    job = await world.claim(next(bell for bell in bells if bell.work_id == running))
    await splits.split(who=ALICE, raw_data_id=world.raw_data_id, held_out_test=0.5)
    bell = next(bell for bell in await world.dispatch() if bell.queue == "celery")
    await world.gate.claim_split(claim=claim_of(bell))

    def shrink(session: Any) -> None:
        fold = session.get_one(SubmissionFold, beyond)
        fold.test_is = pack_indices([10**6])

    await world.db.write(shrink)
    dataset = await world.datasets.get(who=ALICE, raw_data_id=world.raw_data_id, labels=True)
    outcome = SplitOutcome(
        task_id=str(bell.work_id),
        attempt=bell.attempt,
        n_train=dataset.n_train,
        n_test=dataset.n_test,
        labels=Labels.model_validate(dataset.labels),
    )
    await world.gate.split_result(outcome=outcome)
    assert (await world.fold(running)).stage == Stage.QUEUED
    with pytest.raises(Fenced):
        await world.finish(running, job.attempt)
    out_of_range = await world.fold(beyond)
    assert (out_of_range.stage, out_of_range.reason) == (Stage.ERROR, Reason.DATA_ERROR)
    assert "out of range" in out_of_range.detail
