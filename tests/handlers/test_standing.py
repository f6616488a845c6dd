"""Submissions found by where they stand, taking their folds together."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from datarun_ext.models import Stage, SubmissionFold
from datarun_ext.protocol import Reason
from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.things import CLASSIFIER, created, dataset, indices, packed

Ends = tuple[Stage, Reason | None]


def _folds(session: Session, submission: int) -> list[SubmissionFold]:
    own = SubmissionFold.databoard_s_id == submission
    return list(session.scalars(select(SubmissionFold).where(own)))


def _put(session: Session, submission: int, ends: tuple[Ends, ...]) -> None:
    for fold, (stage, reason) in zip(_folds(session, submission), ends, strict=True):
        fold.stage, fold.reason = stage, reason


async def test_submissions_are_found_by_where_they_stand(api: Api, master: Master) -> None:
    await created(api, "runapp/rawdata/", dataset())
    folds = [{"train_is": indices(0, 1, 2), "test_is": indices(3, 4)}] * 2
    cases: dict[str, list[tuple[Ends, ...]]] = {
        "waiting": [
            ((Stage.WAITING, None), (Stage.WAITING, None)),
            ((Stage.QUEUED, None), (Stage.DISPATCHED, None)),
        ],
        "running": [
            ((Stage.QUEUED, None), (Stage.RUNNING, None)),
            ((Stage.VALIDATED, None), (Stage.TESTED, None)),
            ((Stage.QUEUED, None), (Stage.ERROR, Reason.USER_ERROR)),
            ((Stage.WAITING, None), (Stage.ERROR, Reason.CANCELLED)),
        ],
        "done": [((Stage.TESTED, None), (Stage.TESTED, None))],
        "failed": [
            ((Stage.TESTED, None), (Stage.ERROR, Reason.BAD_OUTPUT)),
            ((Stage.ERROR, Reason.CANCELLED), (Stage.ERROR, Reason.USER_ERROR)),
            ((Stage.ERROR, None), (Stage.TESTED, None)),
        ],
        "cancelled": [
            ((Stage.ERROR, Reason.CANCELLED), (Stage.ERROR, Reason.CANCELLED)),
            ((Stage.ERROR, Reason.CANCELLED), (Stage.TESTED, None)),
        ],
    }
    expected: dict[str, list[int]] = {}
    for standing, pairs in cases.items():
        for stages in pairs:
            body = {"raw_data": 1, "files": {"classifier.py": packed(CLASSIFIER)}, "folds": folds}
            submission = await created(api, "runapp/submission/", body)
            ident = submission["databoard_s_id"]
            expected.setdefault(standing, []).append(ident)
            await master.db.write(_put, submission=ident, ends=stages)
    made = await created(api, "runapp/submission/", body)
    for fold in await master.db.read(_folds, submission=made["databoard_s_id"]):
        assert (await api("DELETE", f"runapp/submissionfold/{fold.databoard_sf_id}/"))[0] == 204

    for standing, wanted in expected.items():
        status, found = await api("GET", "runapp/submission/", params={"standing": standing})
        assert status == 200, found
        assert [item["databoard_s_id"] for item in found] == wanted, standing
    status, answer = await api("GET", "runapp/submission/", params={"standing": "lost"})
    assert status == 400
    assert "standing" in answer
