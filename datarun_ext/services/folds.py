"""Folds, as those who sent them see them: looked up, cancelled, run again, moved up, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload, undefer_group

from datarun_ext.errors import Conflict, NotFound
from datarun_ext.models import (
    FINAL,
    Priority,
    RawData,
    SplitState,
    Stage,
    State,
    SubmissionFold,
)
from datarun_ext.protocol import Reason
from datarun_ext.services.announce import deleted_event
from datarun_ext.services.database import Database
from datarun_ext.services.principal import Principal
from datarun_ext.services.queue import capacity, mean_duration, position
from datarun_ext.services.submit import split_failed
from datarun_ext.services.transitions import UNFINISHED, fail, fold_event, restart

ALIVE_S = 60.0
CANCELLED = "Cancelled by its owner."


@dataclass(frozen=True, kw_only=True)
class FoldQuery:
    """Which folds to list, and how much of each to load."""

    state: State | None = None
    raw_data_id: int | None = None
    submission_id: int | None = None
    limit: int | None = None
    cursor: int | None = None
    newest_first: bool = False
    groups: tuple[Literal["indices", "predictions", "log"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a fold stands in the queue."""

    position: int
    eta_s: float | None
    """Seconds until it is likely to begin; None before any fold of its dataset has ended."""


class Folds:
    """Shows and steers folds."""

    def __init__(self, *, db: Database, wake: Callable[[], None]) -> None:
        self.db = db
        self._wake = wake

    async def list(self, *, who: Principal, query: FoldQuery) -> Sequence[SubmissionFold]:
        """Return the folds that they may see and that the query asks for."""
        return await self.db.read(_list, who=who, query=query)

    async def get(self, *, who: Principal, fold_id: int) -> SubmissionFold:
        """Return one fold with everything that is known of it. Raises NotFound."""
        return await self.db.read(_get, who=who, fold_id=fold_id)

    async def place(self, *, fold: SubmissionFold, now: float) -> Place | None:
        """Return a waiting fold's place in the queue; None when it does not wait."""
        if fold.stage not in (Stage.QUEUED, Stage.DISPATCHED):
            return None
        return await self.db.read(_place, fold=fold, now=now)

    async def cancel(self, *, who: Principal, fold_id: int) -> SubmissionFold:
        """End a fold now, wherever it is.

        Raises
        ------
        Conflict
            If it has ended already.
        """

        def work(session: Session) -> None:
            fold = _get(session, who=who, fold_id=fold_id)
            if not _cancel(session, fold):
                msg = f"Fold {fold_id} has ended already ({fold.stage}): there is nothing to stop."
                raise Conflict(msg)

        await self.db.write(work)
        self._wake()
        return await self.get(who=who, fold_id=fold_id)

    async def rerun(self, *, who: Principal, fold_id: int, broker_up: bool) -> SubmissionFold:
        """Run a fold that has ended again.

        Raises
        ------
        Conflict
            If it has not ended.
        """

        def work(session: Session) -> None:
            fold = _get(session, who=who, fold_id=fold_id)
            if not rerun(session, fold, broker_up=broker_up):
                msg = f"Fold {fold_id} has not ended ({fold.state}): cancel it first."
                raise Conflict(msg)

        await self.db.write(work)
        self._wake()
        return await self.get(who=who, fold_id=fold_id)

    async def set_priority(
        self, *, who: Principal, fold_id: int, priority: Priority
    ) -> SubmissionFold:
        """Move a fold to the other queue, as long as it waits in the database."""

        def work(session: Session) -> None:
            set_priority(session, _get(session, who=who, fold_id=fold_id), priority)

        await self.db.write(work)
        return await self.get(who=who, fold_id=fold_id)

    async def delete(self, *, who: Principal, fold_id: int) -> None:
        """Delete a fold; if it runs, its runner ends it."""

        def work(session: Session) -> None:
            fold = _get(session, who=who, fold_id=fold_id)
            deleted_event(session, fold)
            session.delete(fold)

        await self.db.write(work)
        self._wake()

    async def cancel_all(self, *, who: Principal, submission_id: int) -> int:
        """Cancel the folds of a submission that have not ended; return how many."""
        count = await self.db.write(
            _each,
            who=who,
            submission_id=submission_id,
            stages=UNFINISHED,
            action=_cancel,
        )
        self._wake()
        return count

    async def rerun_all(
        self, *, who: Principal, submission_id: int, failed_only: bool, broker_up: bool
    ) -> int:
        """Run the folds of a submission that have ended (or failed) again; return how many."""
        count = await self.db.write(
            _each,
            who=who,
            submission_id=submission_id,
            stages=(Stage.ERROR,) if failed_only else FINAL,
            action=lambda session, fold: rerun(session, fold, broker_up=broker_up),
        )
        self._wake()
        return count

    async def set_priority_all(
        self, *, who: Principal, submission_id: int, priority: Priority
    ) -> int:
        """Move the waiting folds of a submission to the other queue; return how many."""
        return await self.db.write(
            _each,
            who=who,
            submission_id=submission_id,
            stages=(Stage.WAITING, Stage.QUEUED),
            action=lambda session, fold: set_priority(session, fold, priority),
        )


def rerun(session: Session, fold: SubmissionFold, *, broker_up: bool) -> bool:
    """Send a fold that has ended back to the queue; False if it has not ended.

    Raises
    ------
    Conflict
        If its dataset's last split failed: it would wait for ever.
    """
    dataset = session.get_one(RawData, fold.raw_data_id)
    if fold.stage in FINAL and dataset.split_state == SplitState.ERROR:
        msg = f"{split_failed(dataset)} Ask for the split again first."
        raise Conflict(msg)
    ready = dataset.split_state == SplitState.DONE
    return restart(
        session,
        fold_id=fold.databoard_sf_id,
        to=Stage.QUEUED if ready else Stage.WAITING,
        task_id=str(uuid.uuid4()) if broker_up else None,
    )


def set_priority(session: Session, fold: SubmissionFold, priority: Priority) -> bool:
    """Change a fold's queue; what is announced to a runner already keeps its place."""
    if fold.priority == priority or fold.stage not in (Stage.WAITING, Stage.QUEUED):
        return False
    fold.priority = priority
    session.flush()
    fold_event(session, fold)
    return True


def _cancel(session: Session, fold: SubmissionFold) -> bool:
    return fail(
        session,
        fold_id=fold.databoard_sf_id,
        reason=Reason.CANCELLED,
        detail=CANCELLED,
        log_messages=f"{CANCELLED} - ERROR({_phase(fold)})",
    )


def _phase(fold: SubmissionFold) -> str:
    return {Stage.TRAINED: "validation", Stage.VALIDATED: "test"}.get(Stage(fold.stage), "train")


def _each(
    session: Session,
    *,
    who: Principal,
    submission_id: int,
    stages: Sequence[Stage],
    action: Callable[[Session, SubmissionFold], bool],
) -> int:
    query = select(SubmissionFold).where(
        SubmissionFold.databoard_s_id == submission_id, SubmissionFold.stage.in_(stages)
    )
    folds = [fold for fold in session.scalars(query).all() if who.may_see(fold.owner)]
    return sum(action(session, fold) for fold in folds)


def _get(session: Session, *, who: Principal, fold_id: int) -> SubmissionFold:
    fold = session.get(
        SubmissionFold,
        fold_id,
        options=[undefer_group(name) for name in ("indices", "predictions", "log")]
        + [joinedload(SubmissionFold.submission)],
    )
    if fold is None or not who.may_see(fold.owner):
        raise NotFound
    return fold


def _list(session: Session, *, who: Principal, query: FoldQuery) -> Sequence[SubmissionFold]:
    statement: Select[SubmissionFold] = select(SubmissionFold).options(
        *(undefer_group(name) for name in query.groups)
    )
    key = SubmissionFold.databoard_sf_id
    if not who.is_superuser:
        statement = statement.where(SubmissionFold.owner == who.name)
    if query.state is not None:
        stages = [stage for stage in Stage if stage.state == query.state]
        statement = statement.where(SubmissionFold.stage.in_(stages))
    if query.raw_data_id is not None:
        statement = statement.where(SubmissionFold.raw_data_id == query.raw_data_id)
    if query.submission_id is not None:
        statement = statement.where(SubmissionFold.databoard_s_id == query.submission_id)
    if query.cursor is not None:
        after = key < query.cursor if query.newest_first else key > query.cursor
        statement = statement.where(after)
    order = key.desc() if query.newest_first else key
    return session.scalars(statement.order_by(order).limit(query.limit)).all()


def _place(session: Session, *, fold: SubmissionFold, now: float) -> Place | None:
    place = position(session, fold_id=fold.databoard_sf_id)
    if fold.stage == Stage.QUEUED and place is None:
        return None
    place = place or 0  # announced to the runners already
    duration = mean_duration(session, raw_data_id=fold.raw_data_id)
    slots = capacity(session, alive_since=now - ALIVE_S).total
    eta = duration * place / slots if duration is not None and slots else None
    return Place(position=place, eta_s=eta)
