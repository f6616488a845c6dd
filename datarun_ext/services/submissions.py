"""Submissions with what their folds add up to."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, String, cast, or_, select
from sqlalchemy.orm import Session, selectinload

from datarun_ext.errors import NotFound
from datarun_ext.models import RawData, Stage, StoredFile, Submission, SubmissionFold
from datarun_ext.services.announce import deleted_event, submission_event
from datarun_ext.services.database import Database
from datarun_ext.services.files import remove_folders
from datarun_ext.services.principal import Principal
from datarun_ext.services.standing import Standing, stands


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """A score over the folds of a submission that have it."""

    mean: float
    std: float


@dataclass(slots=True)
class SubmissionView:
    """A submission, how many of its folds are in each state, why they failed, what they score."""

    submission: Submission
    n_folds: int
    counts: dict[str, int]
    reasons: dict[str, int]
    scores: dict[str, ScoreSummary]


class Submissions:
    """Shows and deletes submissions."""

    def __init__(self, *, db: Database) -> None:
        self.db = db

    async def list(
        self,
        *,
        who: Principal,
        raw_data_id: int | None = None,
        owner: str | None = None,
        text: str = "",
        standing: Standing | None = None,
        limit: int | None = None,
        cursor: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[SubmissionView]:
        """Return the submissions that they may see, by id.

        Each word of `text` must be in the name, the dataset's name, the owner or ``#id``.
        """
        return await self.db.read(
            _list,
            who=who,
            raw_data_id=raw_data_id,
            owner=owner,
            text=text,
            standing=standing,
            limit=limit,
            cursor=cursor,
            newest_first=newest_first,
        )

    async def get(self, *, who: Principal, submission_id: int) -> SubmissionView:
        """Return one submission. Raises NotFound."""

        def work(session: Session) -> SubmissionView:
            return _views(session, [_get(session, who=who, submission_id=submission_id)])[0]

        return await self.db.read(work)

    async def file(self, *, who: Principal, submission_id: int, name: str) -> StoredFile:
        """Return one of its files. Raises NotFound."""
        view = await self.get(who=who, submission_id=submission_id)
        return named(view.submission.files, name)

    async def delete(self, *, who: Principal, submission_id: int) -> None:
        """Delete a submission, its files and its folds; what runs of it is ended."""

        def work(session: Session) -> str:
            submission = _get(session, who=who, submission_id=submission_id)
            for fold in session.scalars(
                select(SubmissionFold).where(SubmissionFold.databoard_s_id == submission_id)
            ):
                deleted_event(session, fold)
            submission_event(session, submission, deleted=True)
            session.delete(submission)
            return submission.files_path

        path = await self.db.write(work)
        if path:
            await asyncio.to_thread(remove_folders, [Path(path)])


def named(files: Sequence[StoredFile], name: str) -> StoredFile:
    """Return the file of that name. Raises NotFound."""
    for file in files:
        if file.name == name:
            return file
    raise NotFound


def _get(session: Session, *, who: Principal, submission_id: int) -> Submission:
    submission = session.get(Submission, submission_id, options=[selectinload(Submission.files)])
    if submission is None or not who.may_see(submission.owner):
        raise NotFound
    return submission


def _list(
    session: Session,
    *,
    who: Principal,
    raw_data_id: int | None,
    owner: str | None,
    text: str,
    standing: Standing | None,
    limit: int | None,
    cursor: int | None,
    newest_first: bool,
) -> list[SubmissionView]:
    key = Submission.databoard_s_id
    query = select(Submission).options(selectinload(Submission.files))
    for word in text.split():
        query = query.where(_has(word))
    if standing is not None:
        query = query.where(stands(standing))
    if owner is not None:
        query = query.where(Submission.owner == owner)
    if not who.is_superuser:
        query = query.where(Submission.owner == who.name)
    if raw_data_id is not None:
        query = query.where(Submission.raw_data_id == raw_data_id)
    if cursor is not None:
        query = query.where(key < cursor if newest_first else key > cursor)
    query = query.order_by(key.desc() if newest_first else key).limit(limit)
    return _views(session, session.scalars(query).all())


def _has(word: str) -> ColumnElement[bool]:
    numbered = "#" + cast(Submission.databoard_s_id, String)
    return or_(
        Submission.name.icontains(word, autoescape=True),
        Submission.owner.icontains(word, autoescape=True),
        Submission.raw_data.has(RawData.name.icontains(word, autoescape=True)),
        numbered.contains(word, autoescape=True),
    )


def _views(session: Session, submissions: Sequence[Submission]) -> list[SubmissionView]:
    views = {
        submission.databoard_s_id: SubmissionView(submission, 0, {}, {}, {})
        for submission in submissions
    }
    values: dict[int, dict[str, list[float]]] = {submission_id: {} for submission_id in views}
    ids = list(views)
    for start in range(0, len(ids), 10_000):
        # Columns, not objects: a list of submissions stands for many thousands of folds.
        query = select(
            SubmissionFold.databoard_s_id,
            SubmissionFold.stage,
            SubmissionFold.reason,
            SubmissionFold.scores,
        ).where(SubmissionFold.databoard_s_id.in_(ids[start : start + 10_000]))
        for submission_id, stage, reason, scores in session.execute(query):
            view = views[submission_id]
            view.n_folds += 1
            state = Stage(stage).state
            view.counts[state] = view.counts.get(state, 0) + 1
            if reason:
                view.reasons[reason] = view.reasons.get(reason, 0) + 1
            if stage == Stage.TESTED:
                for name, value in scores.items():
                    values[submission_id].setdefault(name, []).append(value)
    for submission_id, found in values.items():
        for name, scores in found.items():
            mean, std = statistics.fmean(scores), statistics.pstdev(scores)
            views[submission_id].scores[name] = ScoreSummary(mean, std)
    return list(views.values())
