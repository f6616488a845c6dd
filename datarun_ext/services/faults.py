"""Faults of the platform: the work is sent again, and given up after the third."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from datarun_ext.models import RawData, SplitState, Stage, SubmissionFold, Task, TaskKind, TaskState
from datarun_ext.protocol import Reason
from datarun_ext.services.announce import dataset_event
from datarun_ext.services.database import now
from datarun_ext.services.splits import task_event
from datarun_ext.services.submit import split_failed
from datarun_ext.services.transitions import fail, requeue

TRIES = 3


def platform_fault(
    session: Session, *, fold_id: int, attempt: int | None, came_from: Collection[Stage], why: str
) -> bool:
    """Send a fold again after a fault of the platform, or give it up after the third.

    Without a `why` it was nobody's fault (a runner that was told to end), and is not counted.
    """
    faults = session.scalar(
        select(SubmissionFold.platform_faults).where(SubmissionFold.databoard_sf_id == fold_id)
    )
    if faults is None:
        return False
    faults += bool(why)
    if faults < TRIES:
        return requeue(
            session, fold_id=fold_id, attempt=attempt, came_from=came_from, faults=faults
        )
    detail = (
        f"Runner lost {TRIES} times; the last time: {why} Run it again; if that fails too, "
        "the fold may need more memory than the runners have."
    )
    return fail(
        session,
        fold_id=fold_id,
        attempt=attempt,
        came_from=came_from,
        reason=Reason.RUNNER_LOST,
        detail=detail,
        log_messages=f"{detail}\n - ERROR(train)",
        platform_faults=faults,
    )


def task_fault(session: Session, *, task: Task, why: str) -> None:
    """Send a split again after a fault of the platform, as `platform_fault` does a fold.

    A trial is not sent again: who waits for it is told at once.
    """
    if task.kind == TaskKind.PREFLIGHT:
        task.state, task.reason, task.ended_at = TaskState.FAILURE, Reason.RUNNER_LOST, now()
        task.message, task.arguments, task.lease_until = why, {}, None
        return
    task.platform_faults += bool(why)
    task.lease_until = task.runner_id = task.dispatched_at = None
    if task.platform_faults < TRIES:
        task.state = TaskState.PENDING
        session.flush()
        task_event(session, task)
        return
    task.state, task.reason, task.ended_at = TaskState.FAILURE, Reason.RUNNER_LOST, now()
    task.message = f"Runner lost {TRIES} times; the last time: {why} Ask for the split again."
    session.flush()
    task_event(session, task)
    newer = select(Task.id).where(
        Task.raw_data_id == task.raw_data_id, Task.kind == task.kind, Task.created > task.created
    )
    if session.scalar(newer.limit(1)) is not None:
        return  # which decides what becomes of the dataset
    dataset = session.get_one(RawData, task.raw_data_id)
    dataset.split_state, dataset.split_error = SplitState.ERROR, task.message
    session.flush()
    dataset_event(session, dataset)
    for fold_id in session.scalars(
        select(SubmissionFold.databoard_sf_id).where(
            SubmissionFold.raw_data_id == dataset.id, SubmissionFold.stage == Stage.WAITING
        )
    ).all():
        fail(
            session,
            fold_id=fold_id,
            reason=Reason.DATA_ERROR,
            detail=split_failed(dataset),
            log_messages=f"{task.message} - ERROR(split data)",
            came_from=(Stage.WAITING,),
        )
