"""The websocket: what is now, and then all that happens, without a gap."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from datarun_ext import __version__
from datarun_ext.errors import DatarunError, InvalidField
from datarun_ext.handlers import answers
from datarun_ext.handlers.base import Identified
from datarun_ext.protocol import PROTOCOL
from datarun_ext.services.events import Happening, Watcher, newest_seq
from datarun_ext.services.folds import FoldQuery

log = logging.getLogger("datarun.http")

SNAPSHOT_FOLDS = 1000


class Events(WebSocketMixin, WebSocketHandler, Identified):
    """Sends hello, then a snapshot or what was missed since `?since=`, then events as they come."""

    watcher: Watcher | None = None
    _sending: asyncio.Task[None] | None = None

    async def prepare(self, **_kwargs: Any) -> None:
        """Find out who asks before the connection is made."""

        async def proceed() -> None:
            await super(WebSocketMixin, self).prepare(_redirect_to_login=False)

        await self.identify(proceed)

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open the websocket."""
        since = self.get_query_argument("since", "")
        if since and not re.fullmatch("[0-9]{1,16}", since):
            raise InvalidField("since", "A valid integer is required.")
        self.since = int(since) if since else None
        await super().get(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to watch before looking at what is, so that nothing falls between."""
        super().open(*args, **kwargs)
        self.watcher = self.master.hub.watch(self.principal)
        self._sending = asyncio.get_running_loop().create_task(self._send(self.watcher))

    def on_message(self, message: str | bytes) -> None:
        """Clients have nothing to say."""

    def on_close(self) -> None:
        """Stop watching."""
        if self.watcher is not None:
            self.master.hub.unwatch(self.watcher)
        super().on_close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Refuse the upgrade with the reason."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, DatarunError):
            self.set_status(error.status)
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps(error.body()))
            return
        super().write_error(status_code, **kwargs)

    @property
    def max_message_size(self) -> int:
        """Clients have nothing to say."""
        return 64 * 1024

    async def _send(self, watcher: Watcher) -> None:
        try:
            sent = await self._begin()
            async for item in watcher:
                if not isinstance(item, Happening):
                    await self._write(
                        type="log",
                        databoard_sf_id=item.fold_id,
                        attempt=item.attempt,
                        text=item.text,
                    )
                elif item.seq > sent:
                    await self._event(item)
            if watcher.overflowed:
                await self._write(type="resync", seq=sent)
                self.close(1013, "too slow: connect again without since")
        except WebSocketClosedError:
            pass
        except Exception:
            # A socket that stays open and says nothing would be believed.
            log.exception("Cannot go on telling %s what happens", self.principal.name)
            self.close(1011, "the server met an error of its own: connect again")
        finally:
            self.master.hub.unwatch(watcher)

    async def _begin(self) -> int:
        """Say hello and what is; return the last sequence number that this covers."""
        master = self.master
        seq = await master.db.read(newest_seq)
        await self._write(type="hello", protocol=PROTOCOL, version=__version__, seq=seq)
        if self.since is not None:
            missed = await master.hub.since(self.since, who=self.principal)
            if missed is not None:
                for item in missed:
                    await self._event(item)
                return missed[-1].seq if missed else self.since
            await self._write(type="resync", seq=seq)
        snapshot = {"type": "snapshot", "seq": seq, **await self._snapshot()}
        await self.write_message(await asyncio.to_thread(_dump, snapshot))
        return seq

    async def _snapshot(self) -> dict[str, Any]:
        master, who = self.master, self.principal
        query = FoldQuery(limit=SNAPSHOT_FOLDS, newest_first=True)
        folds = await master.folds.list(who=who, query=query)
        datasets = await master.datasets.list(who=who)
        submissions = await master.submissions.list(
            who=who, limit=SNAPSHOT_FOLDS, newest_first=True
        )
        return {
            "folds": [answers.fold(item, answers.View.SUMMARY) for item in folds],
            "rawdata": [answers.raw_data_full(item, {}) for item in datasets],
            "submissions": [answers.submission(item) for item in submissions],
            "runners": [answers.runner(view) for view in await master.runners.list()],
        }

    async def _event(self, item: Happening) -> None:
        await self._write(
            type="event",
            seq=item.seq,
            at=item.at,
            kind=item.kind,
            ref=item.ref,
            data=item.data,
        )

    async def _write(self, **message: Any) -> None:
        await self.write_message(_dump(message))


def _dump(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
