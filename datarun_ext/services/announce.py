"""The events of datasets and submissions that come and change, and of what is gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from datarun_ext.models import RawData, Submission, SubmissionFold
from datarun_ext.services.database import now
from datarun_ext.services.events import record


def dataset_event(session: Session, dataset: RawData) -> None:
    """Record that a dataset has changed."""
    record(
        session,
        at=now(),
        kind="rawdata",
        ref=dataset.id,
        owner=dataset.owner,
        data={
            "id": dataset.id,
            "name": dataset.name,
            "workflow_elements": dataset.workflow_elements,
            "target_column": dataset.target_column,
            "kind": "custom" if dataset.is_custom else "standard",
            "split_state": dataset.split_state,
            "split_error": dataset.split_error,
            "n_train": dataset.n_train,
            "n_test": dataset.n_test,
        },
    )


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
