"""The runners' protocol (`datarun_ext.protocol`), with a token of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated
from pydantic import BaseModel, ValidationError
from tornado import web

from datarun_ext.errors import BadRequest, Conflict, NotAuthenticated
from datarun_ext.handlers.base import LARGE_BODY, DatarunHandler
from datarun_ext.handlers.download import send_path
from datarun_ext.protocol import (
    HEADER_PROTOCOL,
    PROTOCOL,
    Beat,
    Claim,
    File,
    FoldProgress,
    PreflightOutcome,
    ProgressAnswer,
    Registration,
    SplitOutcome,
    SplitProgress,
)
from datarun_ext.services.files import hash_file

M = TypeVar("M", bound=BaseModel)
RESULT_MAX = 16 << 30
FILE_MAX = 1 << 40


class RunnerHandler(DatarunHandler):
    """Base: the runner's token, and the same version of the protocol."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Let in who knows the secret; Jupyter's identity has no part in it."""
        self._track_activity = False
        await self._up()
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            raise NotAuthenticated
        self.master.check_token(token)
        version = self.request.headers.get(HEADER_PROTOCOL)
        if version != str(PROTOCOL):
            msg = (
                f"The runner speaks protocol {version}, this master {PROTOCOL}: install the same "
                "version of datarun on both."
            )
            raise Conflict(msg)

    def check_xsrf_cookie(self) -> None:
        """A token in a header cannot be forged by a page."""

    async def message(self, model: type[M]) -> M:
        """Return the request's message; a large one does not hold up the event loop.

        Raises
        ------
        BadRequest
            If it is broken.
        """
        try:
            if len(self.request.body) < LARGE_BODY:
                return model.model_validate_json(self.request.body)
            return await asyncio.to_thread(model.model_validate_json, self.request.body)
        except ValidationError as error:
            raise BadRequest(str(error)) from error

    def answer_message(self, message: BaseModel) -> None:
        """Finish with a message."""
        self.finish(message.model_dump_json())


class Register(RunnerHandler):
    """A runner introduces itself."""

    @allow_unauthenticated
    async def post(self) -> None:
        """Let a runner in."""
        registration = await self.message(Registration)
        self.answer_message(await self.master.gate.register(registration=registration))


class Alive(RunnerHandler):
    """A runner's sign of life."""

    @allow_unauthenticated
    async def post(self) -> None:
        """Note it."""
        self.answer_message(await self.master.gate.beat(beat=(await self.message(Beat))))


class ClaimWork(RunnerHandler):
    """Work for a runner."""

    @allow_unauthenticated
    async def post(self, kind: str) -> None:
        """Give the fold, the split or the trial that a message announced."""
        claim, gate = await self.message(Claim), self.master.gate
        if kind == "fold":
            if not isinstance(claim.id, int):
                msg = f"id: {claim.id!r} is no fold's."
                raise BadRequest(msg)
            self.answer_message(await gate.claim_fold(claim=claim))
        elif kind == "split":
            self.answer_message(await gate.claim_split(claim=claim))
        else:
            self.answer_message(await gate.claim_preflight(claim=claim))


class Progress(RunnerHandler):
    """How far work is."""

    @allow_unauthenticated
    async def post(self, kind: str) -> None:
        """Renew the lease."""
        gate = self.master.gate
        if kind == "fold":
            goes_on = await gate.fold_progress(progress=await self.message(FoldProgress))
        else:
            goes_on = await gate.split_progress(progress=await self.message(SplitProgress))
        self.answer_message(ProgressAnswer(end=not goes_on))


@web.stream_request_body
class Result(RunnerHandler):
    """How work ended."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Predictions may be larger than other bodies."""
        await super().prepare()
        self.request.connection.set_max_body_size(RESULT_MAX)  # type: ignore[union-attr]
        size = self.request.headers.get("Content-Length", "")
        self.arrival = self.master.gate.arrival(size=int(size) if size.isdecimal() else 0)

    async def data_received(self, chunk: bytes) -> None:
        """Keep a piece, and the lease with it."""
        await self.arrival.take(chunk)

    @allow_unauthenticated
    async def post(self, kind: str) -> None:
        """Commit it; the answer means that it is in the database."""
        self.request.body = await asyncio.to_thread(self.arrival.body)
        if kind == "fold":
            await self.master.gate.fold_result(body=self.request.body)
        elif kind == "split":
            await self.master.gate.split_result(outcome=await self.message(SplitOutcome))
        else:
            await self.master.gate.preflight_result(outcome=await self.message(PreflightOutcome))
        self.answer_nothing()


class Blob(RunnerHandler):
    """A file by its content."""

    @allow_unauthenticated
    async def get(self, sha256: str) -> None:
        """Send it."""
        await send_path(self, await self.master.gate.blob(sha256=sha256))


class MadeBy(BaseModel):
    """The split that made a file."""

    task_id: str
    attempt: int


@web.stream_request_body
class MadeFile(RunnerHandler):
    """A file that a split made."""

    path: Path | None = None
    stream: BinaryIO | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Open the file before the first byte is read."""
        await super().prepare()
        made_by = self.query(MadeBy)
        self.path = await self.master.gate.made_file(
            task_id=made_by.task_id,
            attempt=made_by.attempt,
            raw_data_id=int(self.path_args[0]),
            name=str(self.path_args[1]),
        )
        self.stream = self.path.open("wb")
        self.request.connection.set_max_body_size(FILE_MAX)  # type: ignore[union-attr]

    async def data_received(self, chunk: bytes) -> None:
        """Write a piece."""
        if self.stream is not None:
            await asyncio.to_thread(self.stream.write, chunk)

    @allow_unauthenticated
    async def put(self, _raw_data_id: str, name: str) -> None:
        """Say what has come."""
        assert self.path is not None
        assert self.stream is not None
        self.stream.close()
        sha256, size = await asyncio.to_thread(hash_file, self.path)
        self.set_status(201)
        self.answer_message(File(name=name, sha256=sha256, size=size))

    def on_connection_close(self) -> None:
        """Nothing is left of a file that was cut."""
        if self.stream is not None and self.path is not None:
            self.stream.close()
            self.path.unlink(missing_ok=True)
        super().on_connection_close()

    def on_finish(self) -> None:
        """Leave no file open, also after an error."""
        if self.stream is not None:
            self.stream.close()
        super().on_finish()
