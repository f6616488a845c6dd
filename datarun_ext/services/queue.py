"""The queue: it is in the database, and the order in which folds leave it is exact.

High priority comes before low; within a priority the person with the fewest folds at work comes
next, so that one heavy user blocks nobody; within a person the oldest fold.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datarun_ext.models import RUNNING, Priority, Stage
from datarun_ext.models.tables import FOLDS, RUNNERS

MESSAGES_PER_SLOT = 2
"""Messages kept in the broker for each free slot: enough that no runner waits for the master."""
MESSAGES_WITHOUT_RUNNER = 2
POSITION_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Queued:
    """A fold that waits in the database."""

    fold_id: int
    owner: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many slots the live runners offer to each queue."""

    slots: dict[str, int]
    total: int

    def wanted(self, queue: str) -> int:
        """Return how many messages a queue should hold, with what runs and with what waits."""
        slots = self.slots.get(queue, 0)
        return MESSAGES_PER_SLOT * slots if slots else MESSAGES_WITHOUT_RUNNER


def in_order(session: Session, *, room: Mapping[Priority, int]) -> Iterator[Queued]:
    """Yield the folds that wait, in the order in which they will be sent.

    Parameters
    ----------
    room : mapping of Priority to int
        At most how many of each priority.
    """
    active: dict[str, int] = {
        owner: count
        for owner, count in session.execute(
            select(FOLDS.c.owner, func.count())
            .where(FOLDS.c.stage.in_((Stage.DISPATCHED, *RUNNING)))
            .group_by(FOLDS.c.owner)
        )
    }
    for priority in (Priority.HIGH, Priority.LOW):
        left = room[priority]
        if left <= 0:
            continue
        owners = session.scalars(
            select(FOLDS.c.owner)
            .where(FOLDS.c.stage == Stage.QUEUED, FOLDS.c.priority == priority)
            .distinct()
        ).all()
        lines = {
            owner: iter(_line(session, owner=owner, priority=priority, limit=left))
            for owner in owners
        }
        shares = [(active.get(owner, 0), owner) for owner in owners]
        heapq.heapify(shares)
        while shares and left > 0:
            count, owner = heapq.heappop(shares)
            fold_id = next(lines[owner], None)
            if fold_id is None:
                continue
            active[owner] = count + 1
            left -= 1
            yield Queued(fold_id, owner, priority)
            heapq.heappush(shares, (count + 1, owner))


def positions(session: Session) -> dict[int, int]:
    """Return the place in the queue of each fold that waits: 1 is next."""
    waiting = in_order(session, room=dict.fromkeys(Priority, POSITION_MAX))
    return {queued.fold_id: place for place, queued in enumerate(waiting, start=1)}


def capacity(session: Session, *, alive_since: float) -> Capacity:
    """Return what the runners that were heard since then offer."""
    slots: dict[str, int] = {}
    total = 0
    alive = select(RUNNERS.c.slots, RUNNERS.c.queues).where(RUNNERS.c.last_beat >= alive_since)
    for offered, queues in session.execute(alive):
        total += offered
        for queue in queues.split(","):
            slots[queue] = slots.get(queue, 0) + offered
    return Capacity(slots, total)


def mean_duration(session: Session, *, raw_data_id: int) -> float | None:
    """Return the mean wall time in seconds of the last folds of a dataset that ended well."""
    recent = (
        select(FOLDS.c.ended_at - FOLDS.c.started_at)
        .where(
            FOLDS.c.raw_data_id == raw_data_id,
            FOLDS.c.stage == Stage.TESTED,
            FOLDS.c.started_at.is_not(None),
        )
        .order_by(FOLDS.c.ended_at.desc())
        .limit(20)
    )
    durations = [float(value) for value in session.scalars(recent) if value is not None]
    return sum(durations) / len(durations) if durations else None


def _line(session: Session, *, owner: str, priority: Priority, limit: int) -> Sequence[int]:
    return session.scalars(
        select(FOLDS.c.databoard_sf_id)
        .where(
            FOLDS.c.stage == Stage.QUEUED,
            FOLDS.c.priority == priority,
            FOLDS.c.owner == owner,
        )
        .order_by(FOLDS.c.created, FOLDS.c.databoard_sf_id)
        .limit(limit)
    ).all()
