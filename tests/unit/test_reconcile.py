"""What is stuck is sent again, at most three times; one master looks at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from datarun_ext.errors import Fenced
from datarun_ext.models import Event, Lock, Stage, SubmissionFold, Task, TaskState
from datarun_ext.protocol import Reason
from datarun_ext.services import reconcile
from datarun_ext.services.faults import TRIES
from datarun_ext.services.reconcile import UNCLAIMED_S
from datarun_ext.services.splits import Splits
from tests.unit.world import ALICE, World, claim_of


async def test_an_expired_lease(world: World) -> None:
    await world.register()
    await world.new_fold(1)
    (bell,) = await world.dispatch()
    await world.claim(bell)
    assert await world.reconciler.look() == 0  # the lease is still good
    await world.expire()
    assert await world.reconciler.look() == 1
    fold = await world.fold(1)
    assert (fold.stage, fold.platform_faults, fold.lease_until) == (Stage.QUEUED, 1, None)
    assert world.woken


async def test_three_faults_are_the_end(world: World) -> None:
    await world.register()
    await world.new_fold(1)
    for _ in range(TRIES):
        (bell,) = await world.dispatch()
        await world.claim(bell)
        await world.expire()
        await world.reconciler.look()
    fold = await world.fold(1)
    assert (fold.stage, fold.reason) == (Stage.ERROR, Reason.RUNNER_LOST)
    assert "Runner lost 3 times" in fold.detail
    assert await world.dispatch() == []
    # Run again, it has three tries again.
    await world.folds.rerun(who=ALICE, fold_id=1, broker_up=True)
    (bell,) = await world.dispatch()
    await world.claim(bell)
    await world.expire()
    await world.reconciler.look()
    assert (await world.fold(1)).stage == Stage.QUEUED


async def test_a_users_fault_is_never_tried_again(world: World) -> None:
    await world.new_fold(1)
    (bell,) = await world.dispatch()
    job = await world.claim(bell)
    await world.finish(1, job.attempt, Reason.OUT_OF_MEMORY)
    await world.reconciler.look()
    fold = await world.fold(1)
    assert (fold.stage, fold.reason) == (Stage.ERROR, Reason.OUT_OF_MEMORY)


async def test_a_lost_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.register()
    await world.new_fold(1)
    (bell,) = await world.dispatch()
    assert await world.reconciler.look() == 0
    later = reconcile.now() + max(UNCLAIMED_S, world.settings.lease_s) + 1
    monkeypatch.setattr(reconcile, "now", lambda: later)
    assert await world.reconciler.look() == 0  # no runner is alive: it may still be in the broker

    def beat(session: Any) -> None:
        from datarun_ext.models import Runner

        session.scalars(select(Runner)).one().last_beat = later

    await world.db.write(beat)
    assert await world.reconciler.look() == 1
    assert (await world.fold(1)).platform_faults == 0
    (again,) = await world.dispatch()
    assert again.attempt > bell.attempt
    with pytest.raises(Fenced):
        await world.claim(bell)
    await world.claim(again)


async def test_a_runner_that_is_known_to_be_dead(world: World) -> None:
    runner = await world.register("host:7")
    await world.new_fold(1)
    await world.new_fold(2)
    first, second = await world.dispatch()
    await world.claim(first, runner)
    await world.claim(second, await world.register("host:8"))
    assert await world.reconciler.runner_died(host="host", pid=7, fault=True) == 1
    assert (await world.fold(1)).stage == Stage.QUEUED
    assert (await world.fold(2)).stage == Stage.RUNNING
    assert await world.reconciler.runner_died(host="elsewhere", pid=8, fault=True) == 0
    # One that was told to end has done nothing wrong.
    assert await world.reconciler.runner_died(host="host", pid=8, fault=False) == 1
    assert (await world.fold(2)).platform_faults == 0


async def test_one_master_leads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = World.around(world.db, world.settings)
    await world.register()
    await world.new_fold(1)
    await world.new_fold(2)
    first, second = await world.dispatch()
    await world.claim(first)
    await world.expire()
    assert await world.reconciler.look() == 1
    await world.claim(second)
    await world.expire()
    assert await other.reconciler.look() == 0
    holder = await world.db.read(lambda s: s.scalars(select(Lock.holder)).one())
    later = reconcile.now() + 1000
    monkeypatch.setattr(reconcile, "now", lambda: later)
    assert await other.reconciler.look() == 1
    assert await world.db.read(lambda s: s.scalars(select(Lock.holder)).one()) != holder


async def test_splits_too(world: World) -> None:
    splits = Splits(db=world.db, wake=lambda: None)
    task = await splits.split(who=ALICE, raw_data_id=world.raw_data_id, held_out_test=0.5)
    await world.new_fold(1)
    assert (await world.fold(1)).stage == Stage.WAITING
    for _ in range(TRIES):
        (bell,) = await world.dispatch()
        job = await world.gate.claim_split(claim=claim_of(bell))
        assert job.held_out_test == 0.5
        await world.expire()
        assert await world.reconciler.look() == 1
    found = await splits.get(who=ALICE, task_id=task.id)
    assert isinstance(found, Task)
    assert (found.state, found.reason) == (TaskState.FAILURE, Reason.RUNNER_LOST)
    fold = await world.fold(1)
    assert (fold.stage, fold.reason) == (Stage.ERROR, Reason.DATA_ERROR)


async def test_work_is_left(world: World) -> None:
    assert not await world.reconciler.work_is_left()
    await world.new_fold(1)
    assert await world.reconciler.work_is_left()
    await world.folds.cancel(who=ALICE, fold_id=1)
    assert not await world.reconciler.work_is_left()


async def test_tidying_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path = world.settings.submission_dir
    await world.new_fold(1)
    old, new = folder / ".new-a", folder / ".new-b"
    for path in (old, new):
        path.mkdir()
        (path / "x").write_bytes(b"1")
    os.utime(old, (1, 1))
    monkeypatch.setattr(reconcile, "KEPT", 1)
    await world.reconciler.tidy()
    assert not old.exists()
    assert new.exists()
    assert Path((await world.fold(1)).submission.files_path).exists()
    left = await world.db.read(lambda s: list(s.scalars(select(Event.seq))))
    assert len(left) == 2
    assert await world.db.read(lambda s: s.get(SubmissionFold, 1)) is not None


async def test_a_claim_whose_answer_was_lost_gets_it_again(world: World) -> None:
    await world.new_fold(1)
    (bell,) = await world.dispatch()
    job = await world.claim(bell, key="k")
    assert await world.claim(bell, key="k") == job
    for other in (world.claim(bell), world.claim(bell, key="l"), world.claim(bell, 2, key="k")):
        with pytest.raises(Fenced):
            await other
    await world.finish(1, job.attempt)
    with pytest.raises(Fenced):
        await world.claim(bell, key="k")
