"""Random histories on a real database: every fold ends once, and no older attempt ever wins."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import select

from datarun_ext.errors import Conflict, Fenced, InvalidField, NotFound
from datarun_ext.models import FINAL, RUNNING, Event, Stage, SubmissionFold
from datarun_ext.protocol import FoldProgress, Phase, Reason
from datarun_ext.services.database import Database
from datarun_ext.services.dispatch import Bell
from datarun_ext.services.faults import TRIES
from tests.unit.world import ALICE, World, settings_of

T = TypeVar("T")
REASONS = [None, Reason.USER_ERROR, Reason.HARD_TIMEOUT, Reason.PLATFORM]


@dataclass(frozen=True)
class Held:
    """A fold that some runner believes to be its own, rightly or not."""

    fold_id: int
    attempt: int


class Master(RuleBasedStateMachine):
    """Clients, a dispatcher, runners alive and dead, a reconciler: in any order."""

    bells = Bundle("bells")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        self.db = Database(f"sqlite:///{path / 'datarun.sqlite3'}")
        self.db.upgrade()
        self.world = self.run(World.start(self.db, settings_of(path)))
        self.runs: dict[int, int] = {}
        """How often each fold was submitted or run again, so how often it may end."""
        self.ended: dict[int, int] = {}
        self.newest: dict[int, int] = {}
        """The newest attempt that was claimed."""
        self.seq = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.nothing_is_stuck()
        self.db.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    @initialize()
    def runner(self) -> None:
        self.run(self.world.register(slots=3))

    @rule(fold_id=st.integers(1, 4), force=st.booleans())
    def submit(self, fold_id: int, force: bool) -> None:
        known = fold_id in self.runs
        try:
            self.run(self.world.new_fold(fold_id, replace_fold=force))
        except InvalidField:
            assert known
            assert not force
            return
        assert not known or force
        self.runs[fold_id] = 1
        self.ended[fold_id] = 0

    @rule(target=bells)
    def dispatch(self) -> Any:
        return multiple(*self.run(self.world.dispatch()))

    @rule(target=held, bell=bells)
    def claim(self, bell: Bell) -> Any:
        fold_id = int(bell.work_id)
        try:
            self.run(self.world.claim(bell))
        except Fenced:
            return multiple()
        assert bell.attempt > self.newest.get(fold_id, 0), "the same attempt was claimed twice"
        self.newest[fold_id] = bell.attempt
        return Held(fold_id, bell.attempt)

    @rule(bell=consumes(bells))
    def lose_a_message(self, bell: Bell) -> None:
        del bell

    @rule(mine=held, phases=st.integers(0, 2))
    def progress(self, mine: Held, phases: int) -> None:
        sign = FoldProgress(
            fold_id=mine.fold_id, attempt=mine.attempt, done=tuple(Phase)[:phases], log="."
        )
        own = self.run(self.world.gate.fold_progress(progress=sign))
        assert not own or self.newest[mine.fold_id] == mine.attempt

    @rule(mine=held, reason=st.sampled_from(REASONS))
    def result(self, mine: Held, reason: Reason | None) -> None:
        before = self.fold(mine.fold_id)
        try:
            self.run(self.world.finish(mine.fold_id, mine.attempt, reason))
        except Fenced:
            after = self.fold(mine.fold_id)
            assert _facts(after) == _facts(before), "what was fenced has changed something"
            return
        assert before is not None
        assert before.attempt == mine.attempt, "an older attempt has won"
        if before.stage in FINAL:  # the same result again
            assert _facts(self.fold(mine.fold_id)) == _facts(before)

    @rule(fold_id=st.integers(1, 4))
    def cancel(self, fold_id: int) -> None:
        try:
            self.run(self.world.folds.cancel(who=ALICE, fold_id=fold_id))
        except (Conflict, NotFound):
            return

    @rule(fold_id=st.integers(1, 4))
    def rerun(self, fold_id: int) -> None:
        try:
            self.run(self.world.folds.rerun(who=ALICE, fold_id=fold_id, broker_up=True))
        except (Conflict, NotFound):
            return
        self.runs[fold_id] += 1

    @rule(fold_id=st.integers(1, 4))
    def delete(self, fold_id: int) -> None:
        try:
            self.run(self.world.folds.delete(who=ALICE, fold_id=fold_id))
        except NotFound:
            return
        del self.runs[fold_id]

    @rule(fold_id=st.integers(1, 4))
    def lease_expires(self, fold_id: int) -> None:
        self.run(self.world.expire(fold_id))
        self.run(self.world.reconciler.look())

    @rule()
    def broker_forgets(self) -> None:
        self.run(self.world.reconciler.messages_lost())

    @rule(fault=st.booleans())
    def runner_dies(self, fault: bool) -> None:
        self.run(self.world.reconciler.runner_died(host="host", pid=1, fault=fault))
        self.run(self.world.register(slots=3))

    @invariant()
    def each_run_ends_at_most_once(self) -> None:
        def news(session: Any) -> list[Event]:
            query = select(Event).where(Event.seq > self.seq, Event.kind == "fold")
            return list(session.scalars(query.order_by(Event.seq)))

        for event in self.run(self.db.read(news)):
            self.seq = event.seq
            fold_id = int(event.ref)
            if event.data.get("stage") in (Stage.TESTED, Stage.ERROR):
                self.ended[fold_id] = self.ended.get(fold_id, 0) + 1
            if event.data.get("deleted"):
                self.ended[fold_id] = 0
        for fold_id, runs in self.runs.items():
            assert self.ended.get(fold_id, 0) <= runs

    @invariant()
    def columns_fit_the_stage(self) -> None:
        for fold in self.folds():
            assert (fold.stage in RUNNING) == (fold.lease_until is not None)
            assert (fold.stage in FINAL) == (fold.ended_at is not None)
            assert (fold.stage == Stage.ERROR) == (fold.reason is not None)
            assert fold.platform_faults <= TRIES
            tested = fold.stage == Stage.TESTED
            assert (fold.full_train_predictions_shape is not None) == tested
            assert bool(fold.scores) == tested

    def nothing_is_stuck(self) -> None:
        """One honest runner, and soon all is over."""
        for _ in range(200):
            self.run(self.world.expire())
            self.run(self.world.reconciler.look())
            self.run(self.world.reconciler.messages_lost())
            for bell in self.run(self.world.dispatch()):
                job = self.run(self.world.claim(bell))
                self.run(self.world.finish(job.fold_id, job.attempt))
            if all(fold.stage in FINAL for fold in self.folds()):
                return
        raise AssertionError([(f.databoard_sf_id, f.stage) for f in self.folds()])

    def folds(self) -> list[SubmissionFold]:
        return self.run(self.db.read(lambda s: list(s.scalars(select(SubmissionFold)))))

    def fold(self, fold_id: int) -> SubmissionFold | None:
        return self.run(self.db.read(lambda s: s.get(SubmissionFold, fold_id)))


def _facts(fold: SubmissionFold | None) -> Any:
    if fold is None:
        return None
    return fold.stage, fold.attempt, fold.reason, fold.scores, fold.ended_at, fold.new


class TestMaster(Master.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(
        max_examples=8,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
