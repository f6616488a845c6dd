"""Big files to the server: in parts, resumed where a connection broke."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from datarun_ext.client.data import Upload
from datarun_ext.client.errors import ClientError, Conflict, NotConnected, Unavailable
from datarun_ext.client.transport import Transport, parse

PART = 8 << 20
PATIENCE = 6

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived, and the size of the file."""


class Uploads:
    """Files on their way to the server, before a dataset takes them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(
        self,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Upload:
        """Send a file and return the finished upload, whose id a new dataset may name.

        A broken connection is resumed where the server stands; after some tries without a byte
        of progress it is given up.

        Parameters
        ----------
        path : path
            The file.
        name : str, optional
            What the file is called on the server; its own name otherwise.
        progress : callable, optional
            Called with (bytes that have arrived, size) after each part.
        """
        source = Path(path).expanduser()
        size = source.stat().st_size
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        body = {"name": name or source.name, "size": size, "sha256": digest}
        upload = parse(Upload, self._transport.post("runapp/upload/", body))
        return self.resume(upload, source, progress=progress)

    def resume(
        self,
        upload: Upload | str,
        path: str | PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Upload:
        """Send what is missing of an upload that was begun earlier."""
        now = self.get(upload if isinstance(upload, str) else upload.id)
        failures = 0
        with Path(path).expanduser().open("rb") as file:
            while not now.complete:
                file.seek(now.offset)
                before = now.offset
                try:
                    now = self._part(now, file.read(PART))
                except (NotConnected, Unavailable, Conflict):
                    if failures >= PATIENCE:
                        raise
                    time.sleep(0.1 * 2**failures)
                    now = self.get(now.id)
                failures = 0 if now.offset > before else failures + 1
                if failures > PATIENCE:
                    msg = (
                        f"{path} stopped arriving at byte {now.offset} of {now.size}: send it anew"
                    )
                    raise ClientError(msg)
                if progress is not None:
                    progress(now.offset, now.size)
        return now

    def _part(self, upload: Upload, data: bytes) -> Upload:
        path = f"runapp/upload/{upload.id}/"
        answer, _ = self._transport.send("PUT", path, params={"offset": upload.offset}, data=data)
        return parse(Upload, answer)

    def get(self, upload_id: str) -> Upload:
        """Return how far an upload is."""
        return parse(Upload, self._transport.get(f"runapp/upload/{upload_id}/"))

    def delete(self, upload: Upload | str) -> None:
        """Give an upload up and free its disk."""
        ident = upload if isinstance(upload, str) else upload.id
        self._transport.delete(f"runapp/upload/{ident}/")
