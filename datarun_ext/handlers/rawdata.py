"""Datasets and their splits."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from tornado import web

from datarun_ext.errors import InvalidField
from datarun_ext.handlers import answers
from datarun_ext.handlers.answers import View
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.handlers.download import send_file
from datarun_ext.handlers.paging import Page
from datarun_ext.handlers.parse import unpack_files
from datarun_ext.schemas.bodies import CustomSplitBody, RawDataBody, SplitBody
from datarun_ext.services.limits import check_limits
from datarun_ext.services.new import NewDataset
from datarun_ext.services.preview import preview
from datarun_ext.services.submissions import named


class PreviewQuery(BaseModel):
    """How many rows to show."""

    rows: int = 20


class RawDataList(DatarunHandler):
    """All datasets."""

    @web.authenticated
    async def get(self) -> None:
        """List datasets."""
        page = self.query(Page)
        found = await self.master.datasets.list(
            who=self.principal,
            limit=page.asked,
            cursor=page.cursor,
            newest_first=page.newest_first,
        )
        found = page.part(self, found, lambda item: item.id)
        if self.view == View.WIRE:
            await self.answer_large([answers.raw_data(item) for item in found])
            return
        counts = await self.master.datasets.counts(raw_data_ids=[item.id for item in found])
        await self.answer_large([answers.raw_data_full(item, counts[item.id]) for item in found])

    @web.authenticated
    async def post(self) -> None:
        """Create a dataset."""
        body = await self.body(RawDataBody)
        if body.files is None and not body.uploads and not body.server_files:
            raise InvalidField("files", "This field is required.")
        settings, datasets = self.master.settings, self.master.datasets
        new = NewDataset(
            name=body.name,
            target_column=body.target_column,
            workflow_elements=body.workflow_elements,
            files=await asyncio.to_thread(unpack_files, body.files, limit=settings.max_upload),
            uploads=body.uploads,
            server_files={
                name: datasets.server_file(root=self.master.root_dir, path=path, who=self.principal)
                for name, path in body.server_files.items()
            },
            limits=check_limits(body.limits, settings=settings),
        )
        self.answer(answers.raw_data(await datasets.create(who=self.principal, new=new)), 201)


class RawDataDetail(DatarunHandler):
    """One dataset."""

    @web.authenticated
    async def get(self, raw_data_id: str) -> None:
        """Show everything of a dataset but its labels."""
        item = await self.master.datasets.get(who=self.principal, raw_data_id=int(raw_data_id))
        counts = await self.master.datasets.counts(raw_data_ids=[item.id])
        self.answer(answers.raw_data_full(item, counts[item.id]))

    @web.authenticated
    async def delete(self, raw_data_id: str) -> None:
        """Delete a dataset with its submissions and folds."""
        await self.master.datasets.delete(who=self.principal, raw_data_id=int(raw_data_id))
        self.answer_nothing()


class RawDataPreview(DatarunHandler):
    """The first rows of a dataset."""

    @web.authenticated
    async def get(self, raw_data_id: str) -> None:
        """Show the first rows and the balance of the target."""
        query = self.query(PreviewQuery)
        item = await self.master.datasets.get(
            who=self.principal, raw_data_id=int(raw_data_id), labels=True
        )
        shown = await preview(item, rows=max(0, min(query.rows, 1000)))
        self.answer(
            {
                "columns": [{"name": name, "dtype": ""} for name in shown.columns],
                "rows": shown.rows,
                "n_rows": shown.n_rows,
                "target": {"name": shown.target, "counts": shown.counts},
            }
        )


class RawDataFile(DatarunHandler):
    """A file of a dataset."""

    @web.authenticated
    async def get(self, raw_data_id: str, name: str) -> None:
        """Download a file."""
        item = await self.master.datasets.get(who=self.principal, raw_data_id=int(raw_data_id))
        await send_file(self, named(item.files, name))


class Split(DatarunHandler):
    """Splits of standard datasets."""

    @web.authenticated
    async def post(self) -> None:
        """Ask for a split; the answer does not wait for it."""
        body = await self.body(SplitBody)
        task = await self.master.splits.split(
            who=self.principal,
            raw_data_id=body.raw_data_id,
            held_out_test=body.held_out_test,
            random_state=body.random_state,
        )
        self.answer({"task_id": task.id})


class CustomSplit(DatarunHandler):
    """Splits of datasets with a specific.py."""

    @web.authenticated
    async def post(self) -> None:
        """Ask for `prepare_data` to be run; the answer does not wait for it."""
        body = await self.body(CustomSplitBody)
        task = await self.master.splits.custom_split(
            who=self.principal, raw_data_id=body.raw_data_id
        )
        self.answer({"task_id": task.id})
