"""The queue: it is in the database, and the order in which folds leave it is exact.

High priority comes before low; within a priority the person with the fewest folds at work comes
next, so that one heavy user blocks nobody; within a person the oldest fold.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from datarun_ext.models import RUNNING, Priority, Stage
from datarun_ext.models.tables import FOLDS, RUNNERS

MESSAGES_PER_SLOT = 2
"""Messages kept in the broker for each free slot: enough that no runner waits for the master."""
MESSAGES_WITHOUT_RUNNER = 2


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
    active = _active(session)
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


def position(session: Session, *, fold_id: int) -> int | None:
    """Return the place in the queue of a fold that waits: 1 is next; None if it does not wait.

    It is counted, not walked to: that costs the same for the last of ten thousand folds. The fold
    is sent when its owner has so many at work as stand before it; by then every other person has
    been given folds up to that number too.
    """
    waits = (FOLDS.c.stage == Stage.QUEUED,)
    fold = session.execute(
        select(FOLDS.c.owner, FOLDS.c.priority, FOLDS.c.created).where(
            FOLDS.c.databoard_sf_id == fold_id, *waits
        )
    ).one_or_none()
    if fold is None:
        return None
    active = _active(session)
    lines: dict[str, int] = {}
    before = 0
    for owner, priority, count in session.execute(
        select(FOLDS.c.owner, FOLDS.c.priority, func.count())
        .where(*waits)
        .group_by(FOLDS.c.owner, FOLDS.c.priority)
    ):
        if priority == fold.priority:
            lines[owner] = count
        elif fold.priority == Priority.LOW:
            # Those of the other queue are all at work before it is this one's turn.
            before += count
            active[owner] = active.get(owner, 0) + count
    older = or_(
        FOLDS.c.created < fold.created,
        and_(FOLDS.c.created == fold.created, FOLDS.c.databoard_sf_id < fold_id),
    )
    own = session.scalar(
        select(func.count()).where(
            *waits, FOLDS.c.priority == fold.priority, FOLDS.c.owner == fold.owner, older
        )
    )
    share = active.get(fold.owner, 0) + (own or 0)
    for owner, count in lines.items():
        if owner != fold.owner:
            # Where two have the same number at work, the first by name is served first.
            given = share - active.get(owner, 0) + (owner < fold.owner)
            before += min(count, max(0, given))
    return before + (own or 0) + 1


def _active(session: Session) -> dict[str, int]:
    """Return how many folds each person has at work."""
    return {
        owner: count
        for owner, count in session.execute(
            select(FOLDS.c.owner, func.count())
            .where(FOLDS.c.stage.in_((Stage.DISPATCHED, *RUNNING)))
            .group_by(FOLDS.c.owner)
        )
    }


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
