"""Big files on their way in: streamed in pieces, resumable, nothing left when they are given up."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from datarun_ext.config import Settings
from datarun_ext.errors import BadRequest, Conflict, InvalidField, NotFound, TooLarge
from datarun_ext.models import Upload
from datarun_ext.services.database import Database, now
from datarun_ext.services.files import (
    check_space,
    clean_name,
    disk_full,
    hash_file,
    remove_stale,
)
from datarun_ext.services.principal import Principal

KEPT_S = 24 * 3600.0


class Uploads:
    """Takes in files of any size without holding them in memory."""

    def __init__(self, *, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._writing: set[str] = set()

    async def create(self, *, who: Principal, name: str, size: int, sha256: str = "") -> Upload:
        """Begin an upload.

        Raises
        ------
        TooLarge
            If it is larger than the operator allows.
        NoSpace
            If the disk has no room for it.
        """
        clean_name(name, field="name")
        if size < 0:
            raise InvalidField("size", "A size is a number of bytes, at least 0.")
        if size > self.settings.max_upload:
            msg = (
                f"{name!r} has {size} bytes; this server takes {self.settings.max_upload} "
                "(option max_upload_mb)."
            )
            raise TooLarge(msg)
        folder = self.settings.upload_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_space(folder, size)
        upload = Upload(
            id=uuid.uuid4().hex,
            owner=who.name,
            name=name,
            size=size,
            sha256=sha256.lower(),
            created=now(),
        )
        await self.db.write(lambda session: session.add(upload))
        # A runner on this machine reads it as another user; the folder keeps everyone else out.
        self.path(upload).touch(mode=0o644)
        return upload

    async def get(self, *, who: Principal, upload_id: str) -> Upload:
        """Return an upload of theirs. Raises NotFound."""
        return await self.db.read(_get, who=who, upload_id=upload_id)

    async def delete(self, *, who: Principal, upload_id: str) -> None:
        """Give an upload up."""
        await self._forget(await self.get(who=who, upload_id=upload_id))

    def path(self, upload: Upload) -> Path:
        """Where its bytes are."""
        return self.settings.upload_dir / f"{upload.id}.part"

    def received(self, upload: Upload) -> int:
        """Return how many bytes have arrived."""
        try:
            return self.path(upload).stat().st_size
        except FileNotFoundError:
            return 0

    def open_piece(self, *, upload: Upload, offset: int, length: int | None) -> Piece:
        """Begin to take in a piece.

        Raises
        ------
        Conflict
            If it does not begin where the bytes so far end, or another request sends one.
        TooLarge
            If it would go beyond the size that was announced.
        """
        if upload.id in self._writing:
            msg = "Another request is sending this upload: wait for it to end, then ask for offset."
            raise Conflict(msg)
        here = self.received(upload)
        if upload.complete or offset != here:
            msg = f"This piece begins at {offset}, but {here} bytes have arrived: resume there."
            raise Conflict(msg)
        if length is not None and offset + length > upload.size:
            msg = f"This piece ends at {offset + length}, beyond the announced {upload.size} bytes."
            raise TooLarge(msg)
        return Piece(self, upload, open(self.path(upload), "ab"))

    async def finish_piece(self, *, upload: Upload) -> Upload:
        """Check the file when its last byte is there.

        Raises
        ------
        BadRequest
            If its content has not the sha256 that was announced; the upload is given up.
        """
        if self.received(upload) < upload.size:
            return upload
        sha256, _ = await asyncio.to_thread(hash_file, self.path(upload))
        if upload.sha256 and sha256 != upload.sha256:
            await self._forget(upload)
            msg = f"What arrived has sha256 {sha256}, not {upload.sha256}: send the file again."
            raise BadRequest(msg)

        def work(session: Session) -> Upload:
            row = session.get(Upload, upload.id)
            if row is None:
                raise NotFound  # given up meanwhile
            row.sha256, row.complete = sha256, True
            return row

        return await self.db.write(work)

    async def collect(self) -> None:
        """Remove what nobody resumed or used within a day."""
        query = select(Upload).where(Upload.created < now() - KEPT_S)
        for upload in await self.db.read(lambda session: session.scalars(query).all()):
            if await asyncio.to_thread(self._touched, upload) < now() - KEPT_S:
                await self._forget(upload)
        folder = self.settings.upload_dir
        await asyncio.to_thread(remove_stale, folder, older_than_s=KEPT_S, now=now())

    def _touched(self, upload: Upload) -> float:
        try:
            return self.path(upload).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def _forget(self, upload: Upload) -> None:
        def work(session: Session) -> None:
            session.execute(delete(Upload).where(Upload.id == upload.id))

        await self.db.write(work)
        await asyncio.to_thread(self.path(upload).unlink, missing_ok=True)


class Piece:
    """A piece that is being written; closing it makes room for the next."""

    def __init__(self, uploads: Uploads, upload: Upload, stream: BinaryIO) -> None:
        self._uploads = uploads
        self._stream = stream
        self._left = upload.size - os.fstat(stream.fileno()).st_size
        self.upload = upload
        uploads._writing.add(upload.id)

    async def write(self, chunk: bytes) -> None:
        """Append bytes, in a thread."""
        self._left -= len(chunk)
        if self._left < 0:
            msg = f"More bytes than the announced {self.upload.size}."
            raise TooLarge(msg)
        with disk_full():
            await asyncio.to_thread(self._stream.write, chunk)

    def close(self) -> None:
        """End the piece, however far it came. Raises NoSpace."""
        if self._stream.closed:
            return
        self._uploads._writing.discard(self.upload.id)
        with disk_full():
            self._stream.close()


def _get(session: Session, *, who: Principal, upload_id: str) -> Upload:
    upload = session.get(Upload, upload_id)
    if upload is None or not who.may_see(upload.owner):
        raise NotFound
    return upload
