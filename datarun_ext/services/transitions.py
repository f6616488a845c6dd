"""The one place where a fold changes its stage.

A move is one compare-and-swap: it happens only if the fold is still in a stage from which the move
is legal and, for what a runner says, still in the runner's attempt. The event is written in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from datarun_ext.models import FINAL, RUNNING, Stage, SubmissionFold
from datarun_ext.models.tables import FOLDS
from datarun_ext.protocol import Reason
from datarun_ext.services.database import now
from datarun_ext.services.events import record

LEGAL: dict[Stage, frozenset[Stage]] = {
    Stage.WAITING: frozenset({Stage.QUEUED, Stage.ERROR}),
    Stage.QUEUED: frozenset({Stage.DISPATCHED, Stage.WAITING, Stage.ERROR}),
    Stage.DISPATCHED: frozenset({Stage.RUNNING, Stage.QUEUED, Stage.ERROR}),
    Stage.RUNNING: frozenset({Stage.TRAINED, Stage.QUEUED, Stage.ERROR}),
    Stage.TRAINED: frozenset({Stage.VALIDATED, Stage.QUEUED, Stage.ERROR}),
    Stage.VALIDATED: frozenset({Stage.TESTED, Stage.QUEUED, Stage.ERROR}),
    Stage.TESTED: frozenset({Stage.QUEUED, Stage.WAITING}),
    Stage.ERROR: frozenset({Stage.QUEUED, Stage.WAITING}),
}
"""From each stage, where a fold can go. From a final stage only by being run again."""

WAY = (Stage.RUNNING, Stage.TRAINED, Stage.VALIDATED, Stage.TESTED)
"""What a fold that goes well passes through on its runner."""

UNFINISHED = tuple(stage for stage in Stage if stage not in FINAL)

_LIGHT = (
    FOLDS.c.databoard_sf_id,
    FOLDS.c.databoard_s_id,
    FOLDS.c.raw_data_id,
    FOLDS.c.owner,
    FOLDS.c.priority,
    FOLDS.c.stage,
    FOLDS.c.attempt,
    FOLDS.c.tries,
    FOLDS.c.new,
    FOLDS.c.reason,
    FOLDS.c.detail,
    FOLDS.c.runner_name,
    FOLDS.c.scores,
    FOLDS.c.train_time,
    FOLDS.c.validation_time,
    FOLDS.c.test_time,
    FOLDS.c.created,
    FOLDS.c.started_at,
    FOLDS.c.ended_at,
)
Light = Row[Any]


class IllegalMove(AssertionError):
    """A programming error: a move that the table of moves does not know."""


def move(
    session: Session,
    *,
    fold_id: int,
    to: Stage,
    came_from: Collection[Stage],
    attempt: int | None = None,
    new_attempt: int | None = None,
    **values: Any,
) -> bool:
    """Move a fold to another stage, if it is where the caller believes it to be.

    Parameters
    ----------
    to : Stage
        Where it goes.
    came_from : collection of Stage
        Where it must be; the move must be legal from each.
    attempt : int, optional
        The attempt in which it must be.
    new_attempt : int, optional
        The attempt that begins with this move.
    **values
        Further columns to set in the same statement.

    Returns
    -------
    bool
        False if it was elsewhere, and nothing has changed.
    """
    for stage in came_from:
        if to not in LEGAL[stage]:
            msg = f"{stage} -> {to}"
            raise IllegalMove(msg)
    statement = (
        FOLDS.update()
        .where(FOLDS.c.databoard_sf_id == fold_id, FOLDS.c.stage.in_(came_from))
        .values(stage=to, **values)
        .returning(*_LIGHT)
    )
    if new_attempt is not None:
        statement = statement.values(attempt=new_attempt)
    if attempt is not None:
        statement = statement.where(FOLDS.c.attempt == attempt)
    session.flush()
    row = session.connection().execute(statement).one_or_none()
    if row is None:
        return False
    fold_event(session, row)
    return True


def pass_through(session: Session, *, fold_id: int, attempt: int, to: Stage, **values: Any) -> bool:
    """Move a running fold on, over the stages between, in one statement.

    Each stage on the way is an event of its own, as if the fold had been seen in it.
    """
    connection = session.connection()
    stage = connection.execute(
        select(FOLDS.c.stage).where(
            FOLDS.c.databoard_sf_id == fold_id,
            FOLDS.c.attempt == attempt,
            FOLDS.c.stage.in_(RUNNING),
        )
    ).scalar_one_or_none()
    if stage is None:
        return False
    way = WAY[WAY.index(Stage(stage)) + 1 : WAY.index(to) + 1]
    if not way:
        return True
    row = connection.execute(
        FOLDS.update()
        .where(FOLDS.c.databoard_sf_id == fold_id)
        .values(stage=to, **values)
        .returning(*_LIGHT)
    ).one()
    for passed in way:
        fold_event(session, row, stage=passed)
    return True


def fail(
    session: Session,
    *,
    fold_id: int,
    reason: Reason,
    detail: str,
    log_messages: str,
    came_from: Collection[Stage] = UNFINISHED,
    attempt: int | None = None,
    **values: Any,
) -> bool:
    """End a fold in ERROR; False if it had ended already."""
    return move(
        session,
        fold_id=fold_id,
        to=Stage.ERROR,
        came_from=came_from,
        attempt=attempt,
        reason=reason,
        detail=detail,
        log_messages=log_messages,
        ended_at=now(),
        lease_until=None,
        **values,
    )


def requeue(
    session: Session,
    *,
    fold_id: int,
    attempt: int | None,
    came_from: Collection[Stage],
    faults: int,
) -> bool:
    """Send a fold back to the queue after a fault of the platform."""
    return move(
        session,
        fold_id=fold_id,
        to=Stage.QUEUED,
        came_from=came_from,
        attempt=attempt,
        platform_faults=faults,
        runner_id=None,
        runner_name="",
        lease_until=None,
        dispatched_at=None,
        started_at=None,
    )


def restart(session: Session, *, fold_id: int, to: Stage, task_id: str | None) -> bool:
    """Run a fold that has ended again, with nothing left of its last run."""
    return move(session, fold_id=fold_id, to=to, came_from=FINAL, task_id=task_id, **CLEARED)


CLEARED: dict[str, Any] = {
    "new": True,
    "reason": None,
    "detail": "",
    "runner_id": None,
    "runner_name": "",
    "claim_key": "",
    "lease_until": None,
    "dispatched_at": None,
    "started_at": None,
    "ended_at": None,
    "platform_faults": 0,
    "tries": 0,
    "scores": {},
    "user_line": {},
    "train_time": 0.0,
    "validation_time": 0.0,
    "test_time": 0.0,
    "train_cpu_time": 0.0,
    "validation_cpu_time": 0.0,
    "test_cpu_time": 0.0,
    "train_memory": 0.0,
    "validation_memory": 0.0,
    "test_memory": 0.0,
    "full_train_predictions": None,
    "test_predictions": None,
    "full_train_predictions_shape": None,
    "full_train_predictions_dtype": None,
    "test_predictions_shape": None,
    "test_predictions_dtype": None,
    "log_messages": "",
    "output": "",
    "traceback": "",
}
"""The columns of a fold that has not run yet."""


def fold_event(
    session: Session, fold: Light | SubmissionFold, *, stage: Stage | None = None
) -> None:
    """Record the state of a fold, or that it was in another one on its way there."""
    passing = stage is not None and stage != fold.stage
    stage = Stage(fold.stage) if stage is None else stage
    record(
        session,
        at=now(),
        kind="fold",
        ref=fold.databoard_sf_id,
        owner=fold.owner,
        data={
            "databoard_sf_id": fold.databoard_sf_id,
            "databoard_s": fold.databoard_s_id,
            "raw_data": fold.raw_data_id,
            "state": stage.state,
            "stage": stage,
            "attempt": fold.tries,
            "priority": fold.priority,
            "new": fold.new,
            "reason": fold.reason,
            "detail": fold.detail,
            "runner": fold.runner_name,
            "scores": {} if passing else fold.scores,
            "train_time": fold.train_time,
            "validation_time": fold.validation_time,
            "test_time": fold.test_time,
            "created": fold.created,
            "started_at": fold.started_at,
            "ended_at": None if passing else fold.ended_at,
        },
    )
