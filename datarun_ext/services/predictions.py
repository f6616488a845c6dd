"""Handing over predictions, each fold marked as read once it has ended."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, undefer_group

from datarun_ext.models import FINAL, Stage, SubmissionFold
from datarun_ext.services.database import Database
from datarun_ext.services.principal import Principal


class Predictions:
    """Returns folds with their predictions and remembers which were returned."""

    def __init__(self, *, db: Database) -> None:
        self.db = db

    async def of(self, *, who: Principal, fold_ids: Sequence[int]) -> Sequence[SubmissionFold]:
        """Return the folds of these ids, whatever their state; unknown ids are left out.

        Only folds that have ended are marked as read, so that `new` never loses one.
        """
        return await self.db.write(_of, who=who, fold_ids=fold_ids)

    async def new(
        self, *, who: Principal, raw_data_id: int | None = None
    ) -> Sequence[SubmissionFold]:
        """Return the TESTED folds that were not returned before, and mark them as read."""
        return await self.db.write(_new, who=who, raw_data_id=raw_data_id)


def _query(who: Principal) -> Select[SubmissionFold]:
    statement = (
        select(SubmissionFold)
        .options(undefer_group("predictions"), undefer_group("log"))
        .order_by(SubmissionFold.databoard_sf_id)
    )
    return statement if who.is_superuser else statement.where(SubmissionFold.owner == who.name)


def _of(session: Session, *, who: Principal, fold_ids: Sequence[int]) -> Sequence[SubmissionFold]:
    found: list[SubmissionFold] = []
    # SQLite takes a limited number of parameters in one statement.
    for start in range(0, len(fold_ids), 10_000):
        part = fold_ids[start : start + 10_000]
        query = _query(who).where(SubmissionFold.databoard_sf_id.in_(part))
        found.extend(session.scalars(query))
    _mark(session, [fold for fold in found if fold.stage in FINAL and fold.new])
    return found


def _new(session: Session, *, who: Principal, raw_data_id: int | None) -> Sequence[SubmissionFold]:
    query = _query(who).where(SubmissionFold.stage == Stage.TESTED, SubmissionFold.new.is_(True))
    if raw_data_id is not None:
        query = query.where(SubmissionFold.raw_data_id == raw_data_id)
    found = session.scalars(query.with_for_update()).all()
    _mark(session, found)
    return found


def _mark(session: Session, folds: Sequence[SubmissionFold]) -> None:
    ids = [fold.databoard_sf_id for fold in folds]
    for start in range(0, len(ids), 10_000):
        session.execute(
            update(SubmissionFold)
            .where(SubmissionFold.databoard_sf_id.in_(ids[start : start + 10_000]))
            .values(new=False)
            .execution_options(synchronize_session=False)
        )
