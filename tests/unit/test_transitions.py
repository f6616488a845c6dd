"""The table of moves, and that nothing moves but by it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from datarun_ext.models import FINAL, RUNNING, Stage, State, SubmissionFold
from datarun_ext.protocol import Reason
from datarun_ext.services.transitions import (
    CLEARED,
    LEGAL,
    UNFINISHED,
    IllegalMove,
    fail,
    move,
    restart,
)
from tests.unit.world import World


def test_the_table_is_whole() -> None:
    assert set(LEGAL) == set(Stage)
    assert set(UNFINISHED) | set(FINAL) == set(Stage)
    for stage in UNFINISHED:
        assert Stage.ERROR in LEGAL[stage]
    for stage in RUNNING:
        assert Stage.QUEUED in LEGAL[stage], "what a lost runner held must go back to the queue"
    for stage in FINAL:
        assert LEGAL[stage] == {Stage.QUEUED, Stage.WAITING}
    # The only way to TESTED is through every phase.
    assert [stage for stage in Stage if Stage.TESTED in LEGAL[stage]] == [Stage.VALIDATED]
    assert [stage for stage in Stage if Stage.RUNNING in LEGAL[stage]] == [Stage.DISPATCHED]


def test_the_wire_knows_five_states() -> None:
    assert {stage.state for stage in Stage} == set(State)
    for stage in (Stage.WAITING, Stage.QUEUED, Stage.DISPATCHED, Stage.RUNNING):
        assert stage.state == State.TODO


def test_what_a_rerun_clears_are_columns_and_no_input() -> None:
    columns = set(SubmissionFold.__table__.columns.keys())
    assert set(CLEARED) <= columns
    assert columns - set(CLEARED) == {
        "databoard_sf_id", "databoard_s_id", "raw_data_id", "owner", "priority", "stage", "attempt",
        "task_id", "limits", "created", "train_is", "test_is",
    }  # fmt: skip


async def test_every_move(world: World) -> None:
    await world.new_fold(1)

    def put(session: Any, stage: Stage) -> None:
        session.get(SubmissionFold, 1).stage = stage

    for source, target in itertools.product(Stage, Stage):
        await world.db.write(put, source)

        def work(session: Any, source: Stage, target: Stage) -> bool:
            return move(session, fold_id=1, to=target, came_from=(source,))

        if target not in LEGAL[source]:
            with pytest.raises(IllegalMove):
                await world.db.write(work, source, target)
            assert (await world.fold(1)).stage == source
            continue
        assert await world.db.write(work, source, target)
        assert (await world.fold(1)).stage == target
        # It is not there any more, so the same move does nothing.
        if source != target:
            assert not await world.db.write(work, source, target)


async def test_moves_by_attempt(world: World) -> None:
    await world.new_fold(1)
    (bell,) = await world.dispatch()

    def claim(session: Any, attempt: int) -> bool:
        return move(
            session,
            fold_id=1,
            to=Stage.RUNNING,
            came_from=(Stage.DISPATCHED,),
            attempt=attempt,
        )

    assert not await world.db.write(claim, bell.attempt - 1)
    assert not await world.db.write(claim, bell.attempt + 1)
    assert await world.db.write(claim, bell.attempt)

    def end(session: Any) -> bool:
        return fail(session, fold_id=1, reason=Reason.CANCELLED, detail="d", log_messages="l")

    assert await world.db.write(end)
    assert not await world.db.write(end)

    def again(session: Any) -> bool:
        return restart(session, fold_id=1, to=Stage.QUEUED, task_id=None)

    assert await world.db.write(again)
    assert not await world.db.write(again)
    assert (await world.fold(1)).attempt == bell.attempt
