"""Splits of datasets: asked for, carried out by a runner, and what follows from how they end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, undefer_group

from datarun_ext.codecs import unpack_indices
from datarun_ext.errors import InvalidField, NotFound
from datarun_ext.models import (
    RUNNING,
    RawData,
    SplitState,
    Stage,
    StoredFile,
    SubmissionFold,
    Task,
    TaskKind,
    TaskState,
)
from datarun_ext.protocol import Reason, SplitOutcome
from datarun_ext.services.announce import dataset_event
from datarun_ext.services.database import Database, now
from datarun_ext.services.datasets import visible
from datarun_ext.services.events import record
from datarun_ext.services.principal import Principal
from datarun_ext.services.submit import split_failed
from datarun_ext.services.transitions import fail, move, requeue

OPEN = (TaskState.PENDING, TaskState.DISPATCHED, TaskState.STARTED)
SENT = (Stage.DISPATCHED, *RUNNING)


class Splits:
    """Asks for splits and tells how they went."""

    def __init__(self, *, db: Database, wake: Callable[[], None]) -> None:
        self.db = db
        self._wake = wake

    async def split(
        self,
        *,
        who: Principal,
        raw_data_id: int,
        held_out_test: float | int,
        random_state: int = 42,
    ) -> Task:
        """Ask for a split into train and test.

        Raises
        ------
        NotFound
            If the dataset is unknown.
        InvalidField
            If it is a custom dataset.
        """
        arguments = {"held_out_test": held_out_test, "random_state": random_state}
        return await self._ask(who, raw_data_id, TaskKind.SPLIT, arguments)

    async def custom_split(self, *, who: Principal, raw_data_id: int) -> Task:
        """Ask for `specific.prepare_data` to be run. Raises as `split` does."""
        return await self._ask(who, raw_data_id, TaskKind.CUSTOM_SPLIT, {})

    async def get(self, *, who: Principal, task_id: str) -> Task | SubmissionFold:
        """Return the split, or the fold, that a task id belongs to. Raises NotFound."""
        return await self.db.read(_find, who=who, task_id=task_id)

    async def _ask(
        self, who: Principal, raw_data_id: int, kind: TaskKind, arguments: dict[str, Any]
    ) -> Task:
        def work(session: Session) -> Task:
            dataset = visible(session, who=who, raw_data_id=raw_data_id)
            _check_kind(dataset, kind)
            task = Task(
                id=str(uuid.uuid4()),
                kind=kind,
                raw_data_id=raw_data_id,
                owner=dataset.owner,
                arguments=arguments,
                created=now(),
            )
            session.add(task)
            dataset.split_state = SplitState.RUNNING
            dataset.split_error = ""
            session.flush()
            task_event(session, task)
            dataset_event(session, dataset)
            return task

        task = await self.db.write(work)
        self._wake()
        return task


def _check_kind(dataset: RawData, kind: TaskKind) -> None:
    if dataset.is_custom and kind == TaskKind.SPLIT:
        raise InvalidField(
            "raw_data_id",
            f"Dataset {dataset.id} has its own specific.py: send it to customsplit/ instead.",
        )
    if not dataset.is_custom and kind == TaskKind.CUSTOM_SPLIT:
        raise InvalidField(
            "raw_data_id",
            f"Dataset {dataset.id} is one CSV file without a specific.py: send it to split/.",
        )


def task_event(session: Session, task: Task) -> None:
    """Record how far a split is."""
    record(
        session,
        at=now(),
        kind="task",
        ref=task.id,
        owner=task.owner,
        data={
            "task_id": task.id,
            "kind": task.kind,
            "state": "PENDING" if task.state == TaskState.DISPATCHED else task.state,
            "raw_data": task.raw_data_id,
            "reason": task.reason,
            "message": task.message,
        },
    )


def end_split(
    session: Session, *, task: Task, outcome: SplitOutcome, paths: Iterable[StoredFile]
) -> bool:
    """Write down how a split ended, and let the folds go that waited for it.

    False if it was not the newest: an older split that ends late changes nothing of the dataset.
    """
    dataset = session.get_one(RawData, task.raw_data_id)
    task.ended_at, task.lease_until = now(), None
    task.reason, task.message = outcome.reason, outcome.detail
    task.state = TaskState.SUCCESS if outcome.reason is None else TaskState.FAILURE
    newest = session.scalars(
        select(Task.id)
        .where(Task.raw_data_id == dataset.id, Task.kind != TaskKind.PREFLIGHT)
        .order_by(Task.created.desc())
        .limit(1)
    ).one()
    if newest != task.id:
        task_event(session, task)
        return False
    if outcome.reason is None:
        dataset.files = [file for file in dataset.files if not file.made_by_split]
        session.flush()  # what the last split made goes before there is another of its name
        dataset.files.extend(paths)
        dataset.n_train, dataset.n_test = outcome.n_train, outcome.n_test
        dataset.labels = outcome.labels.model_dump(mode="json")
        dataset.classes = list(outcome.labels.classes)
        dataset.columns = list(outcome.columns)
    dataset.split_state = SplitState.DONE if outcome.reason is None else SplitState.ERROR
    dataset.split_error = outcome.detail
    session.flush()
    _release(session, dataset)
    task_event(session, task)
    dataset_event(session, dataset)
    return True


def _release(session: Session, dataset: RawData) -> None:
    """Let the folds go that waited; what was sent before a new split is sent again."""
    stages: tuple[Stage, ...] = (Stage.WAITING,)
    if dataset.split_state == SplitState.DONE:
        stages = (Stage.WAITING, Stage.QUEUED, *SENT)
    query = select(SubmissionFold).where(
        SubmissionFold.raw_data_id == dataset.id, SubmissionFold.stage.in_(stages)
    )
    for fold in session.scalars(query.options(undefer_group("indices"))).all():
        fold_id, stage = fold.databoard_sf_id, Stage(fold.stage)
        detail = _unfit(fold, dataset)
        if detail:
            fail(
                session,
                fold_id=fold_id,
                reason=Reason.DATA_ERROR,
                detail=detail,
                log_messages=f"{detail} - ERROR(split data)",
                came_from=(stage,),
            )
        elif stage == Stage.WAITING:
            move(session, fold_id=fold_id, to=Stage.QUEUED, came_from=(stage,))
        elif stage in SENT:
            faults = fold.platform_faults
            requeue(session, fold_id=fold_id, attempt=None, came_from=(stage,), faults=faults)


def _unfit(fold: SubmissionFold, dataset: RawData) -> str:
    """Say why a fold cannot run on a dataset as it is now; nothing, if it can."""
    if dataset.split_state == SplitState.ERROR:
        return split_failed(dataset)
    highest = max((int(part.max()) for part in _indices(fold) if part.size), default=-1)
    if highest < dataset.n_train:
        return ""
    return f"Index {highest} is out of range: the training set has {dataset.n_train} rows."


def _indices(fold: SubmissionFold) -> Iterable[Any]:
    return (unpack_indices(fold.train_is), unpack_indices(fold.test_is))


def _find(session: Session, *, who: Principal, task_id: str) -> Task | SubmissionFold:
    found: Task | SubmissionFold | None = session.get(
        Task, task_id, options=[joinedload(Task.raw_data)]
    )
    if found is None:
        found = session.scalars(
            select(SubmissionFold).where(SubmissionFold.task_id == task_id)
        ).first()
    if found is None or not who.may_see(found.owner):
        raise NotFound
    return found
