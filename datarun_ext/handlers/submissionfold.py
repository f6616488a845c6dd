"""Folds: submitted, listed, looked into, cancelled, run again, deleted."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from tornado import web

from datarun_ext.handlers import answers
from datarun_ext.handlers.answers import View
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.handlers.paging import Page
from datarun_ext.handlers.parse import unpack_files, unpack_fold
from datarun_ext.handlers.preflight import try_out
from datarun_ext.models import Priority, SubmissionFold
from datarun_ext.schemas.bodies import FoldBody, PriorityBody
from datarun_ext.services.database import now
from datarun_ext.services.folds import FoldQuery
from datarun_ext.services.new import NewFold, NewSubmission


class Since(BaseModel):
    """From which character of the log on."""

    since: int = 0


class FoldHandler(DatarunHandler):
    """Base of the handlers of folds."""

    def query_of(self, page: Page, *, view: View) -> FoldQuery:
        """Return the query that a list's arguments ask for."""
        return FoldQuery(
            state=page.state,
            raw_data_id=page.raw_data,
            submission_id=page.submission,
            limit=page.asked,
            cursor=page.cursor,
            newest_first=page.newest_first,
            groups=() if view == View.SUMMARY else ("indices", "predictions", "log"),
        )

    async def answer_fold(self, fold: SubmissionFold, view: View) -> None:
        """Finish with one fold, and its place in the queue."""
        place = None
        if view != View.WIRE:
            place = await self.master.folds.place(fold=fold, now=now())
        await self.answer_large(answers.fold(fold, view, place))


class FoldList(FoldHandler):
    """All folds."""

    @web.authenticated
    async def get(self) -> None:
        """List folds with all their fields."""
        page, view = self.query(Page), self.view
        found = await self.master.folds.list(
            who=self.principal, query=self.query_of(page, view=view)
        )
        found = page.part(self, found, lambda item: item.databoard_sf_id)
        data = await asyncio.to_thread(lambda: [answers.fold(item, view) for item in found])
        await self.answer_large(data)

    @web.authenticated
    async def post(self) -> None:
        """Submit a fold, and its submission if that is new."""
        view = self.view
        body, master = await self.body(FoldBody), self.master
        # In a thread: what has to be decompressed may be a thousand times larger.
        new = await asyncio.to_thread(new_submission, body, limit=master.settings.max_upload)
        await try_out(self, new)
        _, folds = await master.submit.submit(
            who=self.principal, new=new, broker_up=master.broker_up
        )
        master.wake()
        await self.answer_large(answers.fold(folds[0], view), 201)


def new_submission(body: FoldBody, *, limit: int) -> NewSubmission:
    """Return what a body describes: a fold, and its submission in case it is new."""
    fold = NewFold(
        indices=unpack_fold(body.train_is, body.test_is),
        fold_id=body.databoard_sf_id,
        priority=Priority(body.priority),
        limits=body.limits,
    )
    return NewSubmission(
        submission_id=body.databoard_s_id,
        raw_data_id=body.raw_data,
        files=unpack_files(body.files, limit=limit),
        folds=[fold],
        replace_submission="submission" in body.force,
        replace_fold="submission_fold" in body.force,
    )


class FoldLightList(FoldHandler):
    """All folds, main facts only."""

    @web.authenticated
    async def get(self) -> None:
        """List id, submission, state and whether it is new."""
        page = self.query(Page)
        query = self.query_of(page, view=View.SUMMARY)
        found = await self.master.folds.list(who=self.principal, query=query)
        found = page.part(self, found, lambda item: item.databoard_sf_id)
        await self.answer_large([answers.fold_light(item) for item in found])


class FoldDetail(FoldHandler):
    """One fold."""

    @web.authenticated
    async def get(self, fold_id: str) -> None:
        """Show a fold."""
        view = self.view
        fold = await self.master.folds.get(who=self.principal, fold_id=int(fold_id))
        await self.answer_fold(fold, view)

    @web.authenticated
    async def delete(self, fold_id: str) -> None:
        """Delete a fold."""
        await self.master.folds.delete(who=self.principal, fold_id=int(fold_id))
        self.answer_nothing()


class FoldCancel(FoldHandler):
    """The end of a fold."""

    @web.authenticated
    async def post(self, fold_id: str) -> None:
        """Cancel a fold, wherever it is."""
        fold = await self.master.folds.cancel(who=self.principal, fold_id=int(fold_id))
        await self.answer_fold(fold, View.FULL)


class FoldRerun(FoldHandler):
    """Another run of a fold."""

    @web.authenticated
    async def post(self, fold_id: str) -> None:
        """Run a fold that has ended again."""
        fold = await self.master.folds.rerun(
            who=self.principal, fold_id=int(fold_id), broker_up=self.master.broker_up
        )
        await self.answer_fold(fold, View.FULL)


class FoldPriority(FoldHandler):
    """The queue of a fold."""

    @web.authenticated
    async def post(self, fold_id: str) -> None:
        """Move a waiting fold to the other queue."""
        body = await self.body(PriorityBody)
        fold = await self.master.folds.set_priority(
            who=self.principal, fold_id=int(fold_id), priority=Priority(body.priority)
        )
        await self.answer_fold(fold, View.FULL)


class FoldLog(FoldHandler):
    """What a fold printed."""

    @web.authenticated
    async def get(self, fold_id: str) -> None:
        """Show the log, also while the fold runs."""
        since = max(0, self.query(Since).since)
        fold = await self.master.folds.get(who=self.principal, fold_id=int(fold_id))
        await self.answer_large(answers.fold_log(fold, since))
