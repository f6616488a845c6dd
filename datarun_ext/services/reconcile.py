"""What brings back work that nobody does any more: expired leases, lost messages, dead runners.

A fault of the platform is retried, at most three times; a fault of the submission never is.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from datarun_ext.config import Settings
from datarun_ext.models import (
    RUNNING,
    Event,
    Lock,
    Priority,
    Runner,
    Stage,
    SubmissionFold,
    Task,
    TaskState,
)
from datarun_ext.services.database import Database, now
from datarun_ext.services.events import KEPT, newest_seq
from datarun_ext.services.faults import platform_fault, task_fault
from datarun_ext.services.files import remove_stale
from datarun_ext.services.preflight import forget_preflights
from datarun_ext.services.transitions import requeue

log = logging.getLogger("datarun.reconcile")

UNCLAIMED_S = 20.0
"""Seconds after which a message that nobody took, though a runner could have, counts as lost."""
LEADER = "reconciler"
STALE_S = 3600.0


class Reconciler:
    """Looks every few seconds for what is stuck. Of several masters one does it at a time."""

    def __init__(self, *, db: Database, settings: Settings, wake: Callable[[], None]) -> None:
        self.db = db
        self.settings = settings
        self._wake = wake
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{id(self)}"

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("Reconciling failed; trying again in %s s", self.settings.reconcile_s)
            await asyncio.sleep(self.settings.reconcile_s)

    async def look(self) -> int:
        """Send again what is stuck; return how many folds and splits that were."""
        await self.db.set_clock()
        if not await self.db.read(self._something_is_open):
            return 0
        count = await self.db.write(self._look)
        if count:
            self._wake()
        return count

    async def tidy(self) -> None:
        """Remove half-written files of servers that were killed, and events of long ago."""
        for folder in (self.settings.dataset_dir, self.settings.submission_dir):
            await asyncio.to_thread(remove_stale, folder, older_than_s=STALE_S, now=now())
        await self.db.write(_prune_events)
        await self.db.write(forget_preflights)

    async def work_is_left(self) -> bool:
        """Whether an earlier master left folds or splits that have not ended."""

        def work(session: Session) -> bool:
            fold = select(SubmissionFold.databoard_sf_id).where(
                SubmissionFold.stage.in_((Stage.QUEUED, Stage.DISPATCHED, *RUNNING))
            )
            task = select(Task.id).where(
                Task.state.in_((TaskState.PENDING, TaskState.DISPATCHED, TaskState.STARTED))
            )
            return any(session.scalar(query.limit(1)) is not None for query in (fold, task))

        return await self.db.read(work)

    async def runner_died(self, *, host: str, pid: int, fault: bool) -> int:
        """Send again at once what a runner held that is known to be dead.

        `fault`: whether it counts as a fault; a runner that was told to end has none.
        """

        def work(session: Session) -> int:
            query = select(Runner).where(Runner.host == host, Runner.pid == pid)
            runner = session.scalars(query).one_or_none()
            if runner is None:
                return 0
            count = _reclaim(
                session,
                SubmissionFold.runner_id == runner.id,
                Task.runner_id == runner.id,
                why=f"Runner {runner.name} died." if fault else "",
            )
            session.delete(runner)
            return count

        count = await self.db.write(work)
        self._wake()
        return count

    async def messages_lost(self) -> int:
        """Send again all that was announced to a broker that has lost its memory."""

        def work(session: Session) -> int:
            return _unannounce(session, before=now() + 1)

        count = await self.db.write(work)
        self._wake()
        return count

    def _something_is_open(self, session: Session) -> bool:
        folds = select(SubmissionFold.databoard_sf_id).where(
            SubmissionFold.stage.in_((Stage.DISPATCHED, *RUNNING))
        )
        tasks = select(Task.id).where(Task.state.in_((TaskState.DISPATCHED, TaskState.STARTED)))
        return any(session.scalar(query.limit(1)) is not None for query in (folds, tasks))

    def _look(self, session: Session) -> int:
        if not self._lead(session):
            return 0
        forget_preflights(session)
        count = _reclaim(
            session,
            SubmissionFold.lease_until < now(),
            Task.lease_until < now(),
            why=f"Its runner gave no sign for {self.settings.lease_s:g} s.",
        )
        alive_since = now() - self.settings.lease_s
        if _some_runner(session, alive_since=alive_since):
            passed = _passed(session, alive_since=alive_since)
            count += _unannounce(session, before=now() - UNCLAIMED_S, passed=passed)
        return count

    def _lead(self, session: Session) -> bool:
        until = now() + 2 * self.settings.reconcile_s + 1
        taken: Any = session.execute(
            update(Lock)
            .where(Lock.name == LEADER, or_(Lock.holder == self._holder, Lock.until < now()))
            .values(holder=self._holder, until=until)
        )
        if taken.rowcount:
            return True
        if session.get(Lock, LEADER) is None:
            session.add(Lock(name=LEADER, holder=self._holder, until=until))
            session.flush()
            return True
        return False


def _reclaim(session: Session, which_folds: Any, which_tasks: Any, *, why: str) -> int:
    folds = session.execute(
        select(SubmissionFold.databoard_sf_id, SubmissionFold.attempt).where(
            SubmissionFold.stage.in_(RUNNING), which_folds
        )
    ).all()
    for fold_id, attempt in folds:
        log.warning("Fold %s is sent again. %s", fold_id, why)
        platform_fault(session, fold_id=fold_id, attempt=attempt, came_from=RUNNING, why=why)
    tasks = session.scalars(select(Task).where(Task.state == TaskState.STARTED, which_tasks)).all()
    for task in tasks:
        log.warning("Task %s (%s) has lost its runner. %s", task.id, task.kind, why)
        task_fault(session, task=task, why=why)
    return len(folds) + len(tasks)


def _passed(session: Session, *, alive_since: float) -> dict[Priority, float]:
    """Return, for each queue, up to when its messages should have been taken.

    While every slot is at work a message may wait for hours. It is lost only if a slot is idle, or
    if a fold was taken that was announced after it.
    """
    offered = session.scalar(
        select(func.coalesce(func.sum(Runner.slots), 0)).where(Runner.last_beat >= alive_since)
    )
    newest: dict[Priority, float] = {}
    busy = 0
    for priority, count, taken in session.execute(
        select(SubmissionFold.priority, func.count(), func.max(SubmissionFold.dispatched_at))
        .where(SubmissionFold.stage.in_(RUNNING))
        .group_by(SubmissionFold.priority)
    ):
        busy += count
        newest[Priority(priority)] = taken or 0.0
    return newest if busy >= (offered or 0) else dict.fromkeys(Priority, math.inf)


def _unannounce(
    session: Session, *, before: float, passed: Mapping[Priority, float] | None = None
) -> int:
    """Put what was announced and never claimed back into the queue; it was nobody's fault."""
    announced = session.execute(
        select(
            SubmissionFold.databoard_sf_id,
            SubmissionFold.platform_faults,
            SubmissionFold.priority,
            SubmissionFold.dispatched_at,
        ).where(SubmissionFold.stage == Stage.DISPATCHED, SubmissionFold.dispatched_at < before)
    ).all()
    folds = [
        (fold_id, faults)
        for fold_id, faults, priority, at in announced
        if passed is None or (at or 0.0) < passed.get(Priority(priority), 0.0)
    ]
    for fold_id, faults in folds:
        requeue(
            session, fold_id=fold_id, attempt=None, came_from=(Stage.DISPATCHED,), faults=faults
        )
    tasks = session.scalars(
        select(Task).where(Task.state == TaskState.DISPATCHED, Task.dispatched_at < before)
    ).all()
    for task in tasks:
        task.state = TaskState.PENDING
    return len(folds) + len(tasks)


def _some_runner(session: Session, *, alive_since: float) -> bool:
    return session.scalar(select(Runner.id).where(Runner.last_beat >= alive_since)) is not None


def _prune_events(session: Session) -> None:
    session.execute(delete(Event).where(Event.seq < newest_seq(session) - KEPT))
