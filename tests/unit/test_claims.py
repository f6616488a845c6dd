"""A runner that lost the answer to a claim asks again, of whichever master, and gets the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datarun_ext.errors import Fenced
from datarun_ext.protocol import FoldProgress, Phase
from datarun_ext.services.database import Database
from datarun_ext.services.splits import Splits
from tests.unit.world import ALICE, World, claim_of


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """Another master on the same database."""
    database = Database(world.db.url)
    yield World.around(database, world.settings)
    database.close()


async def test_a_claim_whose_answer_was_lost(world: World, other: World) -> None:
    runner = await world.register()
    fold_id = await world.new_fold()
    (bell,) = await world.dispatch()
    job = await world.claim(bell, runner, key="mine")
    for master in (world, other):
        assert await master.claim(bell, runner, key="mine") == job
        for wrong in ((runner, "another"), (runner, ""), (runner + 1, "mine")):
            with pytest.raises(Fenced):
                await master.claim(bell, *wrong)
    await world.expire()
    await other.claim(bell, runner, key="mine")
    assert await world.reconciler.look() == 0  # the second answer begins with a whole lease
    progress = FoldProgress(fold_id=fold_id, attempt=job.attempt, done=(Phase.TRAIN,))
    assert await other.gate.fold_progress(progress=progress)
    with pytest.raises(Fenced):  # it trains: the answer was not lost
        await world.claim(bell, runner, key="mine")


async def test_an_old_key_opens_nothing(world: World) -> None:
    runner = await world.register()
    await world.new_fold()
    (bell,) = await world.dispatch()
    await world.claim(bell, runner, key="mine")
    await world.expire()
    await world.reconciler.look()
    (newer,) = await world.dispatch()
    with pytest.raises(Fenced):
        await world.claim(bell, runner, key="mine")
    await world.claim(newer, runner, key="new")
    for outdated in (bell, newer):
        with pytest.raises(Fenced):
            await world.claim(outdated, runner, key="mine")


async def test_a_claim_without_a_key_is_granted_once(world: World) -> None:
    runner = await world.register()
    await world.new_fold()
    (bell,) = await world.dispatch()
    await world.claim(bell, runner)
    with pytest.raises(Fenced):
        await world.claim(bell, runner)


async def test_a_claim_of_a_split(world: World, other: World) -> None:
    runner = await world.register()
    splits = Splits(db=world.db, wake=lambda: None)
    await splits.split(who=ALICE, raw_data_id=world.raw_data_id, held_out_test=1)
    (bell,) = await world.dispatch()
    job = await world.gate.claim_split(claim=claim_of(bell, runner, "mine"))
    assert await other.gate.claim_split(claim=claim_of(bell, runner, "mine")) == job
    for wrong in ((runner, "another"), (runner, ""), (runner + 1, "mine")):
        with pytest.raises(Fenced):
            await other.gate.claim_split(claim=claim_of(bell, *wrong))
