"""Predictions, handed over in lists."""

from __future__ import annotations

import asyncio

from tornado import web

from datarun_ext.handlers import answers
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.schemas.bodies import FoldListBody, NewPredictionsBody


class TestPredictionsList(DatarunHandler):
    """Predictions of chosen folds."""

    @web.authenticated
    async def post(self) -> None:
        """Return the folds of these ids; unknown ones are left out."""
        body = await self.body(FoldListBody)
        found = await self.master.predictions.of(
            who=self.principal, fold_ids=body.list_submission_fold
        )
        data = await asyncio.to_thread(lambda: [answers.predictions(item) for item in found])
        await self.answer_large(data)


class TestPredictionsNew(DatarunHandler):
    """Predictions that nobody has fetched."""

    @web.authenticated
    async def post(self) -> None:
        """Return the TESTED folds that are new, and mark them as read."""
        body = await self.body(NewPredictionsBody)
        found = await self.master.predictions.new(who=self.principal, raw_data_id=body.raw_data_id)
        data = await asyncio.to_thread(lambda: [answers.predictions(item) for item in found])
        await self.answer_large(data)
