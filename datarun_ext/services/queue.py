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

from datarun_ext.models import RUNNING, Priority, Runner, Stage, SubmissionFold

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
            select(SubmissionFold.owner, func.count())
            .where(SubmissionFold.stage.in_((Stage.DISPATCHED, *RUNNING)))
            .group_by(SubmissionFold.owner)
        )
    }
    for priority in (Priority.HIGH, Priority.LOW):
        left = room[priority]
        if left <= 0:
            continue
        owners = session.scalars(
            select(SubmissionFold.owner)
            .where(SubmissionFold.stage == Stage.QUEUED, SubmissionFold.priority == priority)
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
    for runner in session.scalars(select(Runner).where(Runner.last_beat >= alive_since)):
        total += runner.slots
        for queue in runner.queues.split(","):
            slots[queue] = slots.get(queue, 0) + runner.slots
    return Capacity(slots, total)


def mean_duration(session: Session, *, raw_data_id: int) -> float | None:
    """Return the mean wall time in seconds of the last folds of a dataset that ended well."""
    recent = (
        select(SubmissionFold.ended_at - SubmissionFold.started_at)
        .where(
            SubmissionFold.raw_data_id == raw_data_id,
            SubmissionFold.stage == Stage.TESTED,
            SubmissionFold.started_at.is_not(None),
        )
        .order_by(SubmissionFold.ended_at.desc())
        .limit(20)
    )
    durations = [float(value) for value in session.scalars(recent) if value is not None]
    return sum(durations) / len(durations) if durations else None


def _line(session: Session, *, owner: str, priority: Priority, limit: int) -> Sequence[int]:
    return session.scalars(
        select(SubmissionFold.databoard_sf_id)
        .where(
            SubmissionFold.stage == Stage.QUEUED,
            SubmissionFold.priority == priority,
            SubmissionFold.owner == owner,
        )
        .order_by(SubmissionFold.created, SubmissionFold.databoard_sf_id)
        .limit(limit)
    ).all()
