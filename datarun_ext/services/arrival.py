"""Results on their way in: who still sends one, or waits for it to be judged, keeps the lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from datarun_ext.errors import DatarunError, Fenced
from datarun_ext.protocol import FoldProgress, SplitProgress, whose_result
from datarun_ext.services.claims import FENCED

log = logging.getLogger("datarun.gate")

Subject = FoldProgress | SplitProgress
Renew = Callable[[Subject], Awaitable[bool]]
"""Renews a lease; False if the work is not its runner's any more."""
RENEWALS = 4
"""Renewals within the time of one lease."""
LARGE = 1 << 20
HEAD = 200
"""Bytes of a result that tell whose it is."""


class Arrival:
    """A result that comes piece by piece; as long as it flows, the lease is renewed.

    A line that stalls for longer than the lease loses it, as a runner that says nothing does.
    """

    def __init__(self, renew: Renew, *, lease_s: float, size: int) -> None:
        self._renew = renew
        self._pause = lease_s / RENEWALS
        # A large one may have waited for its master, so its lease may be short.
        self._due = time.monotonic() + (0.0 if size > LARGE else self._pause)
        self._pieces: list[bytes] = []
        self._head = b""
        self._subject: Subject | None = None
        self._wanted = True

    async def take(self, piece: bytes) -> None:
        """Keep a piece."""
        if not self._wanted:
            return
        self._pieces.append(piece)
        if len(self._head) < HEAD:
            self._head += piece[:HEAD]
        if time.monotonic() < self._due:
            return
        if self._subject is None:
            self._subject = whose_result(self._head)
        if self._subject is not None:
            self._wanted = await _renewed(self._renew, self._subject)
            self._due = time.monotonic() + self._pause
        if not self._wanted:
            self._pieces.clear()

    def body(self) -> bytes:
        """Return all of it; any thread. Raises Fenced if it is of no use any more."""
        if not self._wanted:
            raise Fenced(FENCED)
        return b"".join(self._pieces)


@asynccontextmanager
async def held(renew: Renew, subject: Subject, *, lease_s: float) -> AsyncIterator[None]:
    """Keep a lease while its result is judged and waits to be written."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(lease_s / RENEWALS)
            await _renewed(renew, subject)

    task = asyncio.get_running_loop().create_task(go_on())
    try:
        yield
    finally:
        task.cancel()


async def _renewed(renew: Renew, subject: Subject) -> bool:
    try:
        return await renew(subject)
    except DatarunError as error:
        log.warning("A lease cannot be renewed: %s", error)
        return True
