"""Sending files from disk, piece by piece, never to be rendered by a browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from jupyter_server.base.handlers import APIHandler

from datarun_ext.errors import NotFound
from datarun_ext.models import StoredFile

PIECE = 1 << 20
TYPE = "application/octet-stream"


async def send_file(handler: APIHandler, file: StoredFile) -> None:
    """Send a stored file as an attachment."""
    handler.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(file.name)}")
    handler.set_header("X-Content-Type-Options", "nosniff")
    await send_path(handler, Path(file.path))


async def send_path(handler: APIHandler, path: Path) -> None:
    """Send a file's bytes. Raises NotFound if it is gone from the disk."""
    try:
        stream = await asyncio.to_thread(open, path, "rb")
    except FileNotFoundError as error:
        msg = f"{path.name} is gone from the server's disk: send the dataset again."
        raise NotFound(msg) from error
    # Headers go with the first piece, so `finish` would come too late to say that it is no page.
    handler.set_header("Content-Type", TYPE)
    with stream:
        while piece := await asyncio.to_thread(stream.read, PIECE):
            handler.write(piece)
            await handler.flush()
    handler.finish(set_content_type=TYPE)
