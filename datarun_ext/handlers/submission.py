"""Submissions with all their folds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tornado import web

from datarun_ext.errors import InvalidField
from datarun_ext.handlers import answers
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.handlers.download import send_file
from datarun_ext.handlers.paging import Page
from datarun_ext.handlers.parse import check, unpack_files, unpack_fold
from datarun_ext.handlers.preflight import try_out
from datarun_ext.models import Priority
from datarun_ext.schemas.bodies import IndicesBody, PriorityBody, RerunBody, SubmissionBody
from datarun_ext.services.cv import CrossValidation, make_folds
from datarun_ext.services.new import Indices, NewFold, NewSubmission


class SubmissionList(DatarunHandler):
    """All submissions."""

    @web.authenticated
    async def get(self) -> None:
        """List submissions and what their folds add up to."""
        page = self.query(Page)
        found = await self.master.submissions.list(
            who=self.principal,
            raw_data_id=page.raw_data,
            owner=page.owner,
            text=page.text,
            standing=page.standing,
            limit=page.asked,
            cursor=page.cursor,
            newest_first=page.newest_first,
        )
        found = page.part(self, found, lambda item: item.submission.databoard_s_id)
        await self.answer_large([answers.submission(item) for item in found])

    @web.authenticated
    async def post(self) -> None:
        """Submit files on all folds at once."""
        body, master = await self.body(SubmissionBody), self.master
        cv, indices = await self.folds_of(body)
        priority = Priority(body.priority)
        folds = [NewFold(indices=part, priority=priority, limits=body.limits) for part in indices]
        limit = master.settings.max_upload
        new = NewSubmission(
            submission_id=body.databoard_s_id,
            raw_data_id=body.raw_data,
            files=await asyncio.to_thread(unpack_files, body.files, limit=limit),
            folds=folds,
            name=body.name,
            cv=cv,
            must_be_new=True,
        )
        who = self.principal
        await try_out(self, new)
        made, _ = await master.submit.submit(who=who, new=new, broker_up=master.broker_up)
        master.wake()
        found = await master.submissions.get(who=who, submission_id=made.databoard_s_id)
        self.answer(answers.submission(found), 201)

    async def folds_of(self, body: SubmissionBody) -> tuple[str, Sequence[Indices]]:
        """Return the folds that were sent, or made from `cv`, and the cv in words."""
        if body.folds is not None:
            if not body.folds:
                raise InvalidField("folds", "This list may not be empty.")
            return "", await asyncio.to_thread(_unpack_folds, body.folds)
        cv = check(CrossValidation, body.cv or {})
        dataset = await self.master.datasets.get(
            who=self.principal, raw_data_id=body.raw_data, labels=True
        )
        return str(cv), await asyncio.to_thread(make_folds, cv, dataset=dataset)


def _unpack_folds(folds: Sequence[IndicesBody]) -> list[Indices]:
    return [unpack_fold(fold.train_is, fold.test_is) for fold in folds]


class SubmissionDetail(DatarunHandler):
    """One submission."""

    @web.authenticated
    async def get(self, submission_id: str) -> None:
        """Show a submission."""
        found = await self.master.submissions.get(
            who=self.principal, submission_id=int(submission_id)
        )
        self.answer(answers.submission(found))

    @web.authenticated
    async def delete(self, submission_id: str) -> None:
        """Delete a submission with its folds."""
        await self.master.submissions.delete(who=self.principal, submission_id=int(submission_id))
        self.master.wake()
        self.answer_nothing()


class SubmissionFile(DatarunHandler):
    """A file of a submission."""

    @web.authenticated
    async def get(self, submission_id: str, name: str) -> None:
        """Download a file."""
        file = await self.master.submissions.file(
            who=self.principal, submission_id=int(submission_id), name=name
        )
        await send_file(self, file)


class SubmissionCancel(DatarunHandler):
    """The end of a submission's folds."""

    @web.authenticated
    async def post(self, submission_id: str) -> None:
        """Cancel all folds that have not ended."""
        found = await self.master.submissions.get(
            who=self.principal, submission_id=int(submission_id)
        )
        count = await self.master.folds.cancel_all(
            who=self.principal, submission_id=found.submission.databoard_s_id
        )
        self.answer({"cancelled": count})


class SubmissionRerun(DatarunHandler):
    """Another run of a submission's folds."""

    @web.authenticated
    async def post(self, submission_id: str) -> None:
        """Run the failed folds, or all that have ended, again."""
        body = await self.body(RerunBody)
        found = await self.master.submissions.get(
            who=self.principal, submission_id=int(submission_id)
        )
        count = await self.master.folds.rerun_all(
            who=self.principal,
            submission_id=found.submission.databoard_s_id,
            failed_only=body.only == "failed",
            broker_up=self.master.broker_up,
        )
        self.answer({"rerun": count})


class SubmissionPriority(DatarunHandler):
    """The queue of a submission's folds."""

    @web.authenticated
    async def post(self, submission_id: str) -> None:
        """Move the waiting folds to the other queue."""
        body = await self.body(PriorityBody)
        found = await self.master.submissions.get(
            who=self.principal, submission_id=int(submission_id)
        )
        count = await self.master.folds.set_priority_all(
            who=self.principal,
            submission_id=found.submission.databoard_s_id,
            priority=Priority(body.priority),
        )
        self.answer({"moved": count})
