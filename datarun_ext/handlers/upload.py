"""Big files: a streamed, resumable raw body."""

from __future__ import annotations

import re

from pydantic import BaseModel, Field
from tornado import web

from datarun_ext.errors import DatarunError
from datarun_ext.handlers import answers
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.schemas.bodies import UploadBody
from datarun_ext.services.uploads import Piece

SLOWEST = 10_000.0
"""Bytes a second below which an upload is given up: it can be resumed."""


class Offset(BaseModel):
    """Where a piece begins."""

    offset: int = Field(0, ge=0)


class UploadList(DatarunHandler):
    """New uploads."""

    @web.authenticated
    async def post(self) -> None:
        """Begin an upload."""
        body = await self.body(UploadBody)
        upload = await self.master.uploads.create(
            who=self.principal, name=body.name, size=body.size, sha256=body.sha256
        )
        self.answer(answers.upload(upload, 0), 201)


@web.stream_request_body
class UploadDetail(DatarunHandler):
    """One upload. Its bytes go to the disk as they come, never into memory."""

    piece: Piece | None = None
    failure: DatarunError | OSError | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Open the file before the first byte is read."""
        await super().prepare()
        if self.request.method != "PUT":
            return
        upload = await self.master.uploads.get(who=self.principal, upload_id=str(self.path_args[0]))
        # What is no number, tornado itself refuses as soon as it reads the body.
        length = self.request.headers.get("Content-Length", "")
        self.piece = self.master.uploads.open_piece(
            upload=upload,
            offset=self.query(Offset).offset,
            length=int(length) if re.fullmatch("[0-9]{1,18}", length) else None,
        )
        connection = self.request.connection
        connection.set_max_body_size(upload.size + 1)  # type: ignore[union-attr]
        connection.set_body_timeout(60 + upload.size / SLOWEST)  # type: ignore[union-attr]

    async def data_received(self, chunk: bytes) -> None:
        """Write what has come; tornado waits for it before it reads more."""
        if self.piece is None or self.failure is not None:
            return
        try:
            await self.piece.write(chunk)
        except (DatarunError, OSError) as error:
            self.failure = error

    @web.authenticated
    async def put(self, upload_id: str) -> None:
        """Take in a piece."""
        assert self.piece is not None
        self.piece.close()
        if self.failure is not None:
            raise self.failure
        uploads = self.master.uploads
        upload = await uploads.finish_piece(upload=self.piece.upload)
        self.answer(answers.upload(upload, uploads.received(upload)))

    @web.authenticated
    async def get(self, upload_id: str) -> None:
        """Show where to go on."""
        upload = await self.master.uploads.get(who=self.principal, upload_id=upload_id)
        self.answer(answers.upload(upload, self.master.uploads.received(upload)))

    @web.authenticated
    async def delete(self, upload_id: str) -> None:
        """Give an upload up."""
        await self.master.uploads.delete(who=self.principal, upload_id=upload_id)
        self.answer_nothing()

    def on_connection_close(self) -> None:
        """Keep what has come: the client can resume."""
        if self.piece is not None:
            self.piece.close()
        super().on_connection_close()

    def on_finish(self) -> None:
        """Make room for the next piece, also after an error."""
        if self.piece is not None:
            self.piece.close()
        super().on_finish()
