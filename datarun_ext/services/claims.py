"""What a runner is given: its number, a fold, a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session, joinedload

from datarun_ext.config import Settings
from datarun_ext.errors import Fenced
from datarun_ext.models import (
    RawData,
    Runner,
    Stage,
    StoredFile,
    Task,
    TaskKind,
    TaskState,
)
from datarun_ext.models.tables import FILES, FOLDS, RAW_DATA
from datarun_ext.protocol import Claim, Dataset, File, FoldJob, Registration, SplitJob
from datarun_ext.services.database import now
from datarun_ext.services.events import record
from datarun_ext.services.limits import merge_limits
from datarun_ext.services.principal import EVERYONE
from datarun_ext.services.splits import task_event
from datarun_ext.services.transitions import move

FENCED = "This is no longer yours: it was sent again, cancelled, replaced or has ended. Drop it."


def register(session: Session, *, registration: Registration) -> int:
    """Note a runner, in place of an earlier one of its name; return its id."""
    runner = session.scalars(select(Runner).where(Runner.name == registration.name)).one_or_none()
    if runner is None:
        runner = Runner(name=registration.name)
        session.add(runner)
    runner.host, runner.pid = registration.host, registration.pid
    runner.slots, runner.queues = registration.slots, ",".join(registration.queues)
    runner.sandbox, runner.versions = registration.sandbox, dict(registration.versions)
    runner.started = runner.last_beat = now()
    session.flush()
    runner_event(session, runner, alive=True)
    return runner.id


def runner_event(session: Session, runner: Runner, *, alive: bool) -> None:
    """Record that a runner came or went."""
    record(
        session,
        at=now(),
        kind="runner",
        ref=runner.id,
        owner=EVERYONE,
        data={
            "id": runner.id,
            "name": runner.name,
            "slots": runner.slots,
            "queues": runner.queues.split(","),
            "sandbox": runner.sandbox,
            "alive": alive,
        },
    )


def claim_fold(session: Session, *, claim: Claim, settings: Settings) -> FoldJob:
    """Give a fold to a runner, also when it has it already but does not know. Raises Fenced."""
    fold_id, attempt, runner_id = int(claim.id), claim.attempt, claim.runner_id
    name = session.scalar(select(Runner.name).where(Runner.id == runner_id))
    started = now()
    if not move(
        session,
        fold_id=fold_id,
        to=Stage.RUNNING,
        came_from=(Stage.DISPATCHED,),
        attempt=attempt,
        runner_id=runner_id,
        runner_name=name or "",
        claim_key=claim.key,
        started_at=started,
        lease_until=started + settings.lease_s,
    ) and not _has_it(session, claim=claim, lease_until=started + settings.lease_s):
        raise Fenced(FENCED)
    return _fold_job(session, fold_id=fold_id, attempt=attempt, settings=settings)


def _has_it(session: Session, *, claim: Claim, lease_until: float) -> bool:
    """Whether this very claim was granted before, by whichever master, and the answer was lost."""
    granted = (
        FOLDS.update()
        .where(
            FOLDS.c.databoard_sf_id == int(claim.id),
            FOLDS.c.attempt == claim.attempt,
            FOLDS.c.stage == Stage.RUNNING,
            FOLDS.c.runner_id == claim.runner_id,
            FOLDS.c.claim_key == claim.key,
            FOLDS.c.claim_key != "",
        )
        .values(lease_until=lease_until)
        .returning(FOLDS.c.databoard_sf_id)
    )
    return session.connection().execute(granted).one_or_none() is not None


def _fold_job(session: Session, *, fold_id: int, attempt: int, settings: Settings) -> FoldJob:
    fold = session.execute(_FOLD, {"fold_id": fold_id}).one()
    dataset_files = session.execute(_DATASET_FILES, {"raw_data_id": fold.raw_data_id}).all()
    files = session.execute(_SUBMISSION_FILES, {"submission_id": fold.databoard_s_id}).all()
    return FoldJob(
        fold_id=fold_id,
        attempt=attempt,
        submission_id=fold.databoard_s_id,
        dataset=_dataset(fold, fold.raw_data_id, dataset_files, settings),
        files=tuple(_file(file, settings) for file in files),
        train_is=fold.train_is,
        n_train=fold.n_train,
        n_test=fold.n_test,
        limits=merge_limits(fold.dataset_limits, fold.limits, settings=settings),
    )


_FOLD = (
    select(
        FOLDS.c.limits,
        FOLDS.c.train_is,
        FOLDS.c.databoard_s_id,
        FOLDS.c.raw_data_id,
        RAW_DATA.c.name,
        RAW_DATA.c.is_custom,
        RAW_DATA.c.target_column,
        RAW_DATA.c.workflow_elements,
        RAW_DATA.c.n_train,
        RAW_DATA.c.n_test,
        RAW_DATA.c.limits.label("dataset_limits"),
    )
    .join_from(FOLDS, RAW_DATA, FOLDS.c.raw_data_id == RAW_DATA.c.id)
    .where(FOLDS.c.databoard_sf_id == bindparam("fold_id"))
)
_DATASET_FILES = (
    select(FILES).where(FILES.c.raw_data_id == bindparam("raw_data_id")).order_by(FILES.c.id)
)
_SUBMISSION_FILES = (
    select(FILES).where(FILES.c.submission_id == bindparam("submission_id")).order_by(FILES.c.id)
)


def _dataset(
    dataset: RawData | Row[*tuple[Any, ...]],
    raw_data_id: int,
    stored: Sequence[Any],
    settings: Settings,
) -> Dataset:
    elements = (element.strip() for element in dataset.workflow_elements.split(","))
    kind: Literal["custom", "standard"] = "custom" if dataset.is_custom else "standard"
    # What the split made stands before what was sent under the same name.
    files = {file.name: file for file in sorted(stored, key=lambda f: f.made_by_split)}
    return Dataset(
        id=raw_data_id,
        name=dataset.name,
        kind=kind,
        target_column=dataset.target_column,
        workflow_elements=tuple(element for element in elements if element),
        files=tuple(_file(file, settings) for file in files.values()),
    )


def dataset_message(dataset: RawData, settings: Settings) -> Dataset:
    """Return a dataset with what its split made, as runners need it."""
    return _dataset(dataset, dataset.id, dataset.files, settings)


def _file(file: StoredFile | Row[*tuple[Any, ...]], settings: Settings) -> File:
    # A runner of the same machine reads the file where it lies.
    url = Path(file.path).as_uri() if settings.embedded else None
    return File(name=file.name, sha256=file.sha256, size=file.size, url=url)


def claim_split(session: Session, *, claim: Claim, settings: Settings) -> SplitJob:
    """Give a split to a runner, as `claim_fold` does a fold. Raises Fenced."""
    task = claim_task(session, claim=claim, settings=settings, preflight=False)
    task_event(session, task)
    dataset = task.raw_data
    dataset_files = [file for file in dataset.files if not file.made_by_split]
    message = _dataset(dataset, dataset.id, dataset_files, settings)
    return SplitJob(
        task_id=task.id,
        attempt=claim.attempt,
        dataset=message,
        limits=merge_limits(dataset.limits, settings=settings),
        **task.arguments,
    )


def claim_task(session: Session, *, claim: Claim, settings: Settings, preflight: bool) -> Task:
    """Give a split, or a trial, to a runner, as `claim_fold` does a fold. Raises Fenced."""
    task = session.get(Task, str(claim.id), options=[joinedload(Task.raw_data)])
    if task is None or task.attempt != claim.attempt:
        raise Fenced(FENCED)
    granted = (task.runner_id, task.claim_key) == (claim.runner_id, claim.key or None)
    if task.state != TaskState.DISPATCHED and not (task.state == TaskState.STARTED and granted):
        raise Fenced(FENCED)
    if (task.kind == TaskKind.PREFLIGHT) != preflight:
        raise Fenced(FENCED)
    task.state, task.runner_id, task.claim_key = TaskState.STARTED, claim.runner_id, claim.key
    task.lease_until = now() + settings.lease_s
    session.flush()
    return task


def own_task(session: Session, task_id: str, attempt: int) -> Task | None:
    """Return a task that runs in this attempt; None if it is not the runner's any more."""
    task = session.get(Task, task_id)
    if task is None or task.state != TaskState.STARTED or task.attempt != attempt:
        return None
    return task
