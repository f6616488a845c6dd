"""The events of submissions that come, change and go, and of folds that are gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from datarun_ext.models import Submission, SubmissionFold
from datarun_ext.services.database import now
from datarun_ext.services.events import record


def deleted_event(session: Session, fold: SubmissionFold) -> None:
    """Record that a fold is gone."""
    record(
        session,
        at=now(),
        kind="fold",
        ref=fold.databoard_sf_id,
        owner=fold.owner,
        data={"databoard_sf_id": fold.databoard_sf_id, "deleted": True},
    )


def submission_event(session: Session, submission: Submission, *, deleted: bool = False) -> None:
    """Record that a submission is new, has other files, or is gone."""
    data: dict[str, Any] = {"databoard_s_id": submission.databoard_s_id, "deleted": True}
    if not deleted:
        data = {
            "databoard_s_id": submission.databoard_s_id,
            "name": submission.name,
            "raw_data": submission.raw_data_id,
            "hash_files": submission.hash_files,
            "cv": submission.cv,
            "created": submission.created,
        }
    record(
        session,
        at=now(),
        kind="submission",
        ref=submission.databoard_s_id,
        owner=submission.owner,
        data=data,
    )
