"""From the database's queue to the broker, a few messages at a time.

A message is a doorbell: the id of a fold and its attempt. It may be lost or rung twice; the claim
decides. The broker is spoken to from one thread, so a broker that is away blocks nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datarun_ext.config import Settings
from datarun_ext.models import Priority, Stage, Task, TaskKind, TaskState
from datarun_ext.models.tables import FOLDS, TASKS
from datarun_ext.protocol import (
    QUEUE_PREFLIGHT,
    QUEUE_SPLIT,
    TASK_FOLD,
    TASK_PREFLIGHT,
    TASK_SPLIT,
)
from datarun_ext.services.database import Database, now
from datarun_ext.services.queue import capacity, in_order
from datarun_ext.services.transitions import move

log = logging.getLogger("datarun.dispatch")

LOOK_S = 5.0
"""Seconds between two looks at the queue when nothing wakes the dispatcher."""
GATHER_S = 0.05
"""Least seconds between two rounds: one serves all that came meanwhile. What comes after a pause
goes at once."""
BACKOFF_S = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Bell:
    """One message to send."""

    task: str
    task_id: str
    queue: str
    work_id: int | str
    attempt: int


class Publisher:
    """Sends Celery tasks by name; knows nothing of what they do."""

    def __init__(self) -> None:
        self._app: Any = None
        self._thread = ThreadPoolExecutor(1, "datarun-publish")

    async def connect(self, broker_url: str) -> None:
        """Use this broker from now on."""
        await self._run(self._connect, broker_url)

    async def send(self, bells: Sequence[Bell]) -> None:
        """Send messages. Raises whatever the broker's transport raises when it is away."""
        await self._run(self._send, bells)

    @property
    def connected(self) -> bool:
        """Whether it has been told of a broker."""
        return self._app is not None

    async def probe(self) -> None:
        """Return if the broker answers. Raises as `send` does."""
        await self._run(self._probe)

    def close(self) -> None:
        """Give the connections back."""
        self._thread.submit(self._close)
        self._thread.shutdown(wait=True)

    async def _run(self, work: Any, *args: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _connect(self, broker_url: str) -> None:
        from celery import Celery  # takes 0.3 s, which no start of a server should wait for

        self._close()
        self._app = Celery("datarun", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            task_publish_retry=False,
            broker_connection_timeout=2.0,
            # A broker that hangs must not hold up this thread for ever; a message that was sent
            # all the same does no harm.
            broker_transport_options={"socket_connect_timeout": 2.0, "socket_timeout": 10.0},
        )

    def _send(self, bells: Sequence[Bell]) -> None:
        with self._app.producer_pool.acquire(block=True, timeout=5) as producer:
            for bell in bells:
                self._app.send_task(
                    bell.task,
                    args=(bell.work_id, bell.attempt),
                    queue=bell.queue,
                    task_id=bell.task_id,
                    producer=producer,
                    retry=False,
                )

    def _probe(self) -> None:
        # A connection of its own: those of the pool may look alive and be dead.
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            connection.default_channel.close()

    def _close(self) -> None:
        if self._app is not None:
            self._app.close()
            self._app = None


class Dispatcher:
    """Keeps the broker's queues shallow and never empty while folds wait."""

    def __init__(self, *, db: Database, settings: Settings, publisher: Publisher) -> None:
        self.db = db
        self.settings = settings
        self.publisher = publisher
        self.broker_error = ""
        """Why the last message could not be sent; empty while the broker answers."""
        self._wake = asyncio.Event()
        self._another_broker = asyncio.Event()

    def broker_changed(self) -> None:
        """Try at once what failed with the broker before."""
        self.broker_error = ""
        self._another_broker.set()
        self.wake()

    def wake(self) -> None:
        """Look at the queue soon. Only in the event loop's thread."""
        self._wake.set()

    async def run(self) -> None:
        """Send what can be sent, whenever woken, until cancelled."""
        failures = 0
        while True:
            try:
                await self._round()
            except Exception as error:
                self.broker_error = f"{type(error).__name__}: {error}"
                if failures == 0:
                    log.warning("The broker cannot be reached (%s); trying again.", error)
                backoff = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(backoff):
                        await self._another_broker.wait()
                self._another_broker.clear()
                continue
            failures = 0
            await asyncio.sleep(GATHER_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def _round(self) -> None:
        """Send what there is room for; the claim that makes room for more wakes the dispatcher."""
        if self.broker_error and self.publisher.connected:
            # What is taken and given back leaves events; while the broker is away, take nothing.
            await self.publisher.probe()
            self.broker_error = ""
        if not await self.db.read(_something_waits):
            return
        if not self.publisher.connected:
            msg = "there is no broker yet"
            raise ConnectionError(msg)
        bells = await self.db.write(_take, settings=self.settings)
        if not bells:
            return
        try:
            await self.publisher.send(bells)
        except Exception:
            await self.db.write(_give_back, bells=bells)
            raise
        self.broker_error = ""


def _something_waits(session: Session) -> bool:
    fold = select(FOLDS.c.databoard_sf_id).where(FOLDS.c.stage == Stage.QUEUED)
    task = select(TASKS.c.id).where(TASKS.c.state == TaskState.PENDING)
    return any(session.scalar(query.limit(1)) is not None for query in (fold, task))


def _take(session: Session, *, settings: Settings) -> list[Bell]:
    offered = capacity(session, alive_since=now() - settings.lease_s)
    announced = {
        Priority(priority): count
        for priority, count in session.execute(
            select(FOLDS.c.priority, func.count())
            .where(FOLDS.c.stage == Stage.DISPATCHED)
            .group_by(FOLDS.c.priority)
        )
    }
    room = {
        priority: max(0, offered.wanted(priority) - announced.get(priority, 0))
        for priority in Priority
    }
    bells = _take_tasks(session)
    for queued in in_order(session, room=room):
        bell = _announce(session, queued.fold_id, queued.priority)
        if bell is not None:
            bells.append(bell)
    return bells


def _announce(session: Session, fold_id: int, priority: Priority) -> Bell | None:
    task_id, attempt, tries = session.execute(
        select(FOLDS.c.task_id, FOLDS.c.attempt, FOLDS.c.tries).where(
            FOLDS.c.databoard_sf_id == fold_id
        )
    ).one()
    task_id = task_id or str(uuid.uuid4())
    if not move(
        session,
        fold_id=fold_id,
        to=Stage.DISPATCHED,
        came_from=(Stage.QUEUED,),
        attempt=attempt,
        new_attempt=attempt + 1,
        tries=tries + 1,
        task_id=task_id,
        dispatched_at=now(),
    ):
        return None
    return Bell(TASK_FOLD, task_id, priority, fold_id, attempt + 1)


def _take_tasks(session: Session) -> list[Bell]:
    bells = []
    tasks = session.scalars(
        select(Task).where(Task.state == TaskState.PENDING).order_by(Task.created).limit(100)
    )
    for task in tasks:
        task.state, task.dispatched_at = TaskState.DISPATCHED, now()
        task.attempt += 1
        name, queue = TASK_SPLIT, QUEUE_SPLIT
        if task.kind == TaskKind.PREFLIGHT:
            name, queue = TASK_PREFLIGHT, QUEUE_PREFLIGHT
        bells.append(Bell(name, task.id, queue, task.id, task.attempt))
    session.flush()
    return bells


def _give_back(session: Session, *, bells: Sequence[Bell]) -> None:
    for bell in bells:
        if bell.task == TASK_FOLD:
            move(
                session,
                fold_id=int(bell.work_id),
                to=Stage.QUEUED,
                came_from=(Stage.DISPATCHED,),
                attempt=bell.attempt,
                tries=FOLDS.c.tries - 1,
                dispatched_at=None,
            )
        else:
            task = session.get(Task, bell.work_id)
            announced = task is not None and task.state == TaskState.DISPATCHED
            if task is not None and announced and task.attempt == bell.attempt:
                task.state = TaskState.PENDING
