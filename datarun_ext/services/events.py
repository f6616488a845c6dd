"""The event log: what a transaction changed, in order, for everyone who watches.

A change calls `record` in its own transaction, so an event exists exactly if the change does. After
the commit the `EventHub` passes it on, strictly in the order of the sequence numbers; what came
from another master, or fell into a gap, it reads from the table.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datarun_ext.models import Event
from datarun_ext.models.tables import EVENTS
from datarun_ext.services.principal import Principal

if TYPE_CHECKING:
    from datarun_ext.services.database import Database

log = logging.getLogger("datarun.events")

REPLAY_MAX = 5000
"""A client that missed more than this gets a new snapshot instead."""
BACKLOG_MAX = 2000
"""Events that wait for one slow reader before it is told to start again."""
KEPT = 200_000
"""Events kept in the table."""


_INSERT = EVENTS.insert().returning(EVENTS.c.seq)


@dataclass(frozen=True, slots=True)
class Happening:
    """One committed change."""

    seq: int
    at: float
    kind: str
    ref: str
    owner: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogText:
    """Text that a running fold printed. Not part of the log of events: never replayed."""

    fold_id: int
    attempt: int
    owner: str
    text: str


def record(
    session: Session, *, at: float, kind: str, ref: int | str, owner: str, data: dict[str, Any]
) -> None:
    """Write an event in the transaction that makes the change."""
    values = {"at": at, "kind": kind, "ref": str(ref), "owner": owner, "data": data}
    seq = session.connection().execute(_INSERT, values).scalar_one()
    happening = Happening(seq=seq, at=at, kind=kind, ref=str(ref), owner=owner, data=data)
    session.info.setdefault("happenings", []).append(happening)


def take_happenings(session: Session) -> list[Happening]:
    """Return what the committed transaction recorded."""
    return list(session.info.pop("happenings", ()))


class Watcher:
    """One reader's queue. Iterating yields happenings and log texts until it is closed."""

    def __init__(self, who: Principal) -> None:
        self.who = who
        self.overflowed = False
        self._queue: asyncio.Queue[Happening | LogText | None] = asyncio.Queue()

    def offer(self, item: Happening | LogText) -> None:
        """Queue an item, if it is this reader's to see."""
        if not self.who.may_see(item.owner) or self.overflowed:
            return
        if self._queue.qsize() >= BACKLOG_MAX:
            if isinstance(item, Happening):
                self.overflowed = True
                self._queue.put_nowait(None)
            return
        self._queue.put_nowait(item)

    def close(self) -> None:
        """End the iteration."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Happening | LogText]:
        while (item := await self._queue.get()) is not None:
            yield item


class Relay(Protocol):
    """Tells the other masters that something was committed."""

    def announce(self, seq: int) -> None:
        """Pass on the newest sequence number; must not block."""
        ...


class EventHub:
    """Passes committed events on to watchers, in order."""

    def __init__(self, *, db: Database) -> None:
        self.db = db
        self.relay: Relay | None = None
        self.listeners: list[Callable[[Happening], None]] = []
        """Called with everything that happens, in order; must not block."""
        self._watchers: set[Watcher] = set()
        self._last = 0
        self._catching_up: asyncio.Task[None] | None = None
        self._behind = False
        db.on_commit = self.committed

    async def start(self) -> None:
        """Begin after the newest event there is."""
        self._last = await self.db.read(newest_seq)

    def committed(self, happenings: Sequence[Happening]) -> None:
        """Pass on what this master has just committed."""
        for happening in happenings:
            if happening.seq == self._last + 1 and not self._behind:
                self._deliver(happening)
            elif happening.seq > self._last:
                self.nudge()
        if self.relay is not None:
            self.relay.announce(happenings[-1].seq)

    def nudge(self) -> None:
        """Look into the table for events that another master committed."""
        self._behind = True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    def say(self, item: LogText) -> None:
        """Pass on text that a fold printed."""
        for watcher in self._watchers:
            watcher.offer(item)

    def watch(self, who: Principal) -> Watcher:
        """Return a new reader of all that happens from now on."""
        watcher = Watcher(who)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Forget a reader."""
        self._watchers.discard(watcher)
        watcher.close()

    @property
    def watchers(self) -> int:
        """How many read."""
        return len(self._watchers)

    async def since(self, seq: int, *, who: Principal) -> list[Happening] | None:
        """Return what happened after `seq`; None when that is too much, or no longer known."""
        return await self.db.read(_replay, seq=seq, who=who)

    def close(self) -> None:
        """End all readers."""
        for watcher in list(self._watchers):
            self.unwatch(watcher)
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _deliver(self, happening: Happening) -> None:
        self._last = happening.seq
        for listen in self.listeners:
            listen(happening)
        for watcher in self._watchers:
            watcher.offer(happening)

    async def _catch_up(self) -> None:
        while self._behind:
            self._behind = False
            try:
                missed = await self.db.read(_after, seq=self._last)
            except Exception:
                log.exception("Cannot read events after %s; trying again", self._last)
                await asyncio.sleep(1)
                self._behind = True
                continue
            for happening in missed:
                if happening.seq > self._last:
                    self._deliver(happening)
            self._behind = self._behind or len(missed) == REPLAY_MAX


def newest_seq(session: Session) -> int:
    """Return the sequence number of the newest event, 0 before the first."""
    return session.execute(select(func.coalesce(func.max(Event.seq), 0))).scalar_one()


def _happening(event: Event) -> Happening:
    return Happening(event.seq, event.at, event.kind, event.ref, event.owner, event.data)


def _after(session: Session, *, seq: int) -> list[Happening]:
    query = select(Event).where(Event.seq > seq).order_by(Event.seq).limit(REPLAY_MAX)
    return [_happening(event) for event in session.scalars(query)]


def _replay(session: Session, *, seq: int, who: Principal) -> list[Happening] | None:
    oldest, newest = session.execute(select(func.min(Event.seq), func.max(Event.seq))).one()
    if newest is None:
        return [] if seq == 0 else None
    if seq > newest or seq < oldest - 1 or newest - seq > REPLAY_MAX:
        return None
    return [item for item in _after(session, seq=seq) if who.may_see(item.owner)]
