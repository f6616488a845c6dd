"""Taking in submissions and folds, in one transaction each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from datarun_ext.config import Settings
from datarun_ext.errors import InvalidField, Unavailable
from datarun_ext.models import (
    RawData,
    SplitState,
    Stage,
    StoredFile,
    Submission,
    SubmissionFold,
)
from datarun_ext.models.tables import FOLDS
from datarun_ext.protocol import Reason
from datarun_ext.services.announce import deleted_event, submission_event
from datarun_ext.services.database import Database, now
from datarun_ext.services.datasets import visible
from datarun_ext.services.files import clean_names, remove_folders, staging
from datarun_ext.services.limits import check_limits
from datarun_ext.services.new import NewFold, NewSubmission
from datarun_ext.services.principal import Principal
from datarun_ext.services.transitions import CLEARED, fold_event
from datarun_ext.services.written import Written, write_files

FOLD_EXISTS = "SubmissionFold with this databoard sf id already exists."
SUBMISSION_EXISTS = "Submission with this databoard s id already exists."


class Submit:
    """Takes in submissions and folds."""

    def __init__(self, *, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._unsure: list[Path] = []
        """Folders of submissions whose transaction failed when they were in place already."""

    async def submit(
        self, *, who: Principal, new: NewSubmission, broker_up: bool
    ) -> tuple[Submission, list[SubmissionFold]]:
        """Take in folds, and their submission if it is new or to be replaced.

        Nothing is stored unless everything is right. A fold that is replaced while it runs is
        stopped: its runner holds an older attempt.

        Raises
        ------
        InvalidField
            If an id is taken, an index out of range, a file or the dataset missing.
        NotFound
            If the dataset is unknown.
        """
        clean_names(new.files)
        for fold in new.folds:
            check_limits(fold.limits, settings=self.settings)
        written = None
        async with staging(self.settings.submission_dir) if new.files else nullcontext() as folder:
            if folder is not None:
                written = await asyncio.to_thread(write_files, folder, new.files)
            try:
                submission, folds, gone = await self.db.write(
                    _submit, who=who, new=new, written=written, broker_up=broker_up
                )
            except BaseException as error:
                if written is not None and written.place.exists():
                    self._unsure.append(written.place)
                    if not isinstance(error, (Unavailable, asyncio.CancelledError)):
                        await self.collect()
                raise
        if gone:
            await asyncio.to_thread(remove_folders, gone)
        return submission, folds

    async def collect(self) -> None:
        """Remove the files of submissions that turn out not to be stored.

        A connection that breaks at COMMIT, or a request that is given up, does not say whether
        they are; so this waits until the transaction must have ended.
        """
        unsure, self._unsure = self._unsure, []
        try:
            stored = await self.db.read(_stored, places=unsure)
        except BaseException:
            self._unsure += unsure
            raise
        gone = [place for place in unsure if place not in stored]
        await asyncio.to_thread(remove_folders, gone)


def _stored(session: Session, *, places: Sequence[Path]) -> set[Path]:
    paths = [str(place) for place in places]
    query = select(Submission.files_path).where(Submission.files_path.in_(paths))
    return {Path(path) for path in session.scalars(query)}


def first_attempt() -> int:
    """Return where the attempts of a new fold begin."""
    return int(now() * 1000)


def _submit(
    session: Session,
    *,
    who: Principal,
    new: NewSubmission,
    written: Written | None,
    broker_up: bool,
) -> tuple[Submission, list[SubmissionFold], list[Path]]:
    submission, gone = _submission(session, who=who, new=new, written=written)
    dataset = submission.raw_data
    folds = []
    for wanted in new.folds:
        fold = _fold(session, new=new, wanted=wanted, submission=submission, dataset=dataset)
        fold.task_id = str(uuid.uuid4()) if broker_up else None
        # The object is for the answer; the row is written without it, in a fifth of the time.
        session.connection().execute(FOLDS.insert(), columns_of(fold))
        fold_event(session, fold)
        folds.append(fold)
    if written is not None and submission.files_path == str(written.place):
        # Last, when nothing of the request can be wrong any more.
        written.folder.rename(written.place)
    return submission, folds, gone


def _submission(
    session: Session, *, who: Principal, new: NewSubmission, written: Written | None
) -> tuple[Submission, list[Path]]:
    known = None
    if new.submission_id is not None:
        known = session.get(
            Submission, new.submission_id, options=[selectinload(Submission.raw_data)]
        )
    if known is None:
        if new.raw_data_id is None:
            raise InvalidField("raw_data", "This field is required for a new submission.")
        if written is None:
            raise InvalidField("files", "This field is required for a new submission.")
        dataset = visible(session, who=who, raw_data_id=new.raw_data_id)
        known = Submission(
            databoard_s_id=_next_id(session, Submission.databoard_s_id)
            if new.submission_id is None
            else new.submission_id,
            name=new.name,
            cv=new.cv,
            raw_data=dataset,
            owner=who.name,
            created=now(),
        )
        session.add(known)
        session.flush()
        _set_files(session, submission=known, written=written)
        submission_event(session, known)
        return known, []
    if not who.may_see(known.owner):
        raise InvalidField("databoard_s_id", f"Submission {known.databoard_s_id} is not yours.")
    if new.must_be_new:
        raise InvalidField("databoard_s_id", SUBMISSION_EXISTS)
    if not new.replace_submission:
        if new.raw_data_id not in (None, known.raw_data_id):
            raise InvalidField(
                "raw_data",
                f"Submission {known.databoard_s_id} belongs to dataset {known.raw_data_id}: leave "
                'raw_data out, or send force="submission" to replace the submission.',
            )
        return known, []
    return known, _replace(session, who=who, known=known, new=new, written=written)


def _replace(
    session: Session,
    *,
    who: Principal,
    known: Submission,
    new: NewSubmission,
    written: Written | None,
) -> list[Path]:
    """Replace a submission's files (if any were sent) and all its folds."""
    if new.raw_data_id is not None:
        known.raw_data = visible(session, who=who, raw_data_id=new.raw_data_id)
    for fold in session.scalars(
        select(SubmissionFold).where(SubmissionFold.databoard_s_id == known.databoard_s_id)
    ):
        deleted_event(session, fold)
        session.delete(fold)
    gone: list[Path] = []
    if written is not None:
        gone.append(Path(known.files_path))
        known.files.clear()
        session.flush()
        _set_files(session, submission=known, written=written)
    session.flush()
    submission_event(session, known)
    return gone


def _set_files(session: Session, *, submission: Submission, written: Written) -> None:
    for name, (sha256, size) in written.files.items():
        path = str(written.place / name)
        submission.files.append(StoredFile(name=name, sha256=sha256, size=size, path=path))
    submission.files_path = str(written.place)
    submission.hash_files = written.hash_files
    session.flush()


def _fold(
    session: Session,
    *,
    new: NewSubmission,
    wanted: NewFold,
    submission: Submission,
    dataset: RawData,
) -> SubmissionFold:
    attempt = first_attempt()
    old = None
    if wanted.fold_id is not None:
        old = session.get(SubmissionFold, wanted.fold_id)
    if old is not None:
        if not (new.replace_fold or new.replace_submission) or old.owner != submission.owner:
            raise InvalidField("databoard_sf_id", FOLD_EXISTS)
        attempt = max(attempt, old.attempt)
        deleted_event(session, old)
        session.delete(old)
        session.flush()
    values = dict(CLEARED)
    if dataset.split_state == SplitState.DONE:
        stage = Stage.QUEUED
        if wanted.indices.highest >= dataset.n_train:
            raise InvalidField(
                "train_is",
                f"Index {wanted.indices.highest} is out of range: the training set of dataset "
                f"{dataset.id} has {dataset.n_train} rows.",
            )
    elif dataset.split_state == SplitState.ERROR:
        stage = Stage.ERROR
        values.update(
            reason=Reason.DATA_ERROR,
            detail=split_failed(dataset),
            log_messages=f"{dataset.split_error} - ERROR(split data)",
            ended_at=now(),
        )
    else:
        stage = Stage.WAITING
    return SubmissionFold(
        databoard_sf_id=_next_id(session, SubmissionFold.databoard_sf_id)
        if wanted.fold_id is None
        else wanted.fold_id,
        databoard_s_id=submission.databoard_s_id,
        raw_data_id=dataset.id,
        owner=submission.owner,
        priority=wanted.priority,
        stage=stage,
        attempt=attempt,
        train_is=wanted.indices.train_is,
        test_is=wanted.indices.test_is,
        limits=dict(wanted.limits),
        created=now(),
        **values,
    )


def columns_of(fold: SubmissionFold) -> dict[str, Any]:
    """Return a new fold's columns; those that were not set are what they are without a run."""
    return {name: value for name, value in vars(fold).items() if name in FOLDS.c}


def split_failed(dataset: RawData) -> str:
    """Say why a fold cannot run on a dataset whose split failed."""
    return f"The split of dataset {dataset.name!r} failed: {dataset.split_error}"


def _next_id(session: Session, column: InstrumentedAttribute[int]) -> int:
    # Clients choose ids too, so the database's own counter would run into theirs.
    return (session.scalar(select(func.max(column))) or 0) + 1
