"""Where a submission stands as a whole, in one word, and how the database finds those that do."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, not_, or_

from datarun_ext.models import FINAL, Stage, Submission, SubmissionFold
from datarun_ext.protocol import Reason


class Standing(StrEnum):
    """What a person wants to know first of a submission."""

    WAITING = "waiting"
    """No runner has begun with any of its folds."""
    RUNNING = "running"
    """Some of its folds have begun, not all have ended."""
    DONE = "done"
    """All of its folds are tested."""
    FAILED = "failed"
    """All of its folds have ended, and one at least by a fault."""
    CANCELLED = "cancelled"
    """All of its folds have ended, and those not tested were cancelled."""


_NOT_BEGUN = (Stage.WAITING, Stage.QUEUED, Stage.DISPATCHED)


def stands(standing: Standing) -> ColumnElement[bool]:
    """Return the condition on `Submission` that it stands like that."""
    stage, reason = SubmissionFold.stage, SubmissionFold.reason
    ended = not_(_has(stage.not_in(FINAL)))
    fault = _has(
        and_(stage == Stage.ERROR, or_(reason.is_(None), reason != Reason.CANCELLED)),
    )
    begun = _has(stage.not_in(_NOT_BEGUN))
    conditions: dict[Standing, tuple[ColumnElement[bool], ...]] = {
        Standing.WAITING: (not_(begun),),
        Standing.RUNNING: (begun, not_(ended)),
        Standing.DONE: (not_(_has(stage != Stage.TESTED)),),
        Standing.FAILED: (ended, fault),
        Standing.CANCELLED: (ended, not_(fault), _has(stage == Stage.ERROR)),
    }
    # One without any fold, made by the endpoints of datarun 0.4, stands nowhere yet.
    return and_(_has(stage.is_not(None)), *conditions[standing])


def _has(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say whether one of the submission's folds is like that."""
    own = SubmissionFold.databoard_s_id == Submission.databoard_s_id
    return exists().where(own, condition).correlate(Submission)
