"""All services of a master, put together, and their life from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from datarun_ext.config import Settings
from datarun_ext.errors import NotAuthenticated
from datarun_ext.services.database import Database, check_journal
from datarun_ext.services.datasets import Datasets
from datarun_ext.services.dispatch import Dispatcher, Publisher
from datarun_ext.services.ending import end_tasks
from datarun_ext.services.events import EventHub
from datarun_ext.services.folds import Folds
from datarun_ext.services.gate import Gate
from datarun_ext.services.pool import Pool, PoolEvents, host_name
from datarun_ext.services.predictions import Predictions
from datarun_ext.services.preflight import Preflights
from datarun_ext.services.reconcile import Reconciler
from datarun_ext.services.relay import RedisRelay
from datarun_ext.services.runners import Problem, Runners
from datarun_ext.services.share import Shared
from datarun_ext.services.splits import Splits
from datarun_ext.services.submissions import Submissions
from datarun_ext.services.submit import Submit
from datarun_ext.services.uploads import Uploads
from datarun_ext.services.users import Users

TIDY_S = 3600.0

log = logging.getLogger("datarun.master")


class Master:
    """The services. Handlers get one of these."""

    def __init__(
        self, *, settings: Settings, base_url: str, root_dir: Path, listen: Callable[[Path], None]
    ) -> None:
        self.settings = settings
        self.root_dir = root_dir
        self.db = Database(settings.database_url)
        self.hub = EventHub(db=self.db)
        self.publisher = Publisher()
        self.dispatcher = Dispatcher(db=self.db, settings=settings, publisher=self.publisher)
        wake = self.wake
        self.users = Users(db=self.db)
        self.uploads = Uploads(db=self.db, settings=settings)
        self.datasets = Datasets(db=self.db, settings=settings, uploads=self.uploads)
        self.splits = Splits(db=self.db, wake=wake)
        self.submit = Submit(db=self.db, settings=settings)
        self.submissions = Submissions(db=self.db)
        self.folds = Folds(db=self.db, wake=wake)
        self.predictions = Predictions(db=self.db)
        self.gate = Gate(db=self.db, settings=settings, hub=self.hub, wake=wake)
        self.preflights = Preflights(db=self.db, settings=settings, gate=self.gate, wake=wake)
        self.reconciler = Reconciler(db=self.db, settings=settings, wake=wake)
        self.runners = Runners(db=self.db, settings=settings, problems=self.problems)
        self.pool: Pool | None = None
        if settings.embedded:
            self.pool = Pool(
                settings=settings,
                base_url=base_url,
                events=PoolEvents(
                    connected=self._connected,
                    messages_lost=self.reconciler.messages_lost,
                    runner_died=self._runner_died,
                    listen=listen,
                ),
            )
        self.relay = RedisRelay(nudge=self.hub.nudge)
        self._tasks: list[asyncio.Task[Any]] = []
        self._started: asyncio.Task[None] | None = None

    async def started(self) -> None:
        """Wait until the master is up; the first call brings it up.

        Jupyter may load the extension and never use it, so nothing is started before. A start that
        failed (the database was away) is tried again.
        """
        if self._started is None or _failed(self._started):
            self._started = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._started)

    def left_behind(self) -> bool:
        """Whether an earlier master may have left work: there is a database."""
        if not self.settings.is_sqlite:
            return True
        path = make_url(self.settings.database_url).database
        return bool(path) and Path(path or "").exists()

    def wake(self) -> None:
        """There is work: see that somebody does it."""
        if self.pool is not None:
            self.pool.start()
        self.dispatcher.wake()

    @property
    def broker_up(self) -> bool:
        """Whether the last message could be sent."""
        return not self.dispatcher.broker_error

    def check_token(self, token: str) -> None:
        """Let runners in that know the secret. Raises NotAuthenticated."""
        known = [self.settings.runner_token]
        if self.pool is not None and self.pool.shared is not None:
            known.append(self.pool.shared.token)
        given = token.encode()
        if not any(secret and hmac.compare_digest(secret.encode(), given) for secret in known):
            msg = "The runner's token is not this master's: compare DATARUN_RUNNER_TOKEN on both."
            raise NotAuthenticated(msg)

    def problems(self) -> list[Problem]:
        """Return what keeps folds from running, as far as the master itself knows."""
        problems = []
        if self.pool is not None and self.pool.problem:
            problems.append(
                Problem(
                    "broker",
                    self.pool.problem,
                    "See the message; `datarun doctor` checks all.",
                    self.pool.problem_log,
                )
            )
        elif not self.broker_up:
            problems.append(
                Problem(
                    "broker",
                    f"The broker cannot be reached: {self.dispatcher.broker_error}",
                    "Folds are kept and sent when it is back. Check broker_url and the broker.",
                )
            )
        if self.pool is not None and self.pool.runner_fails:
            problems.append(
                Problem(
                    "runner",
                    "The runner ends as soon as it is started.",
                    "`datarun doctor` checks all.",
                    self.pool.runner_log(),
                )
            )
        return problems

    async def stop(self) -> None:
        """End the children and close everything; what runs is sent again by the next master."""
        if self._started is not None:
            # First of all: what is still starting would go on to start more.
            await end_tasks([self._started])
        await end_tasks(self._tasks)
        if self.pool is not None:
            with contextlib.suppress(Exception):
                await self.pool.stop()
        await self.relay.close()
        self.hub.close()
        await asyncio.to_thread(self.publisher.close)
        await asyncio.to_thread(self.db.close)

    async def _start(self) -> None:
        await asyncio.to_thread(self._prepare)
        await self.db.set_clock()
        await self.hub.start()
        if self.settings.broker_url:
            await self.publisher.connect(self.settings.broker_url)
        if self.settings.redis_url:
            await self._connect_relay(self.settings.redis_url)
        for work in (self.dispatcher.run, self.reconciler.run, self._tidy):
            self._run(work)
        if await self.reconciler.work_is_left():
            self.wake()

    def _prepare(self) -> None:
        for folder in (
            self.settings.data_dir,
            self.settings.dataset_dir,
            self.settings.submission_dir,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.settings.is_sqlite:
            self.db.upgrade()
            problem = check_journal(self.settings.database_url)
            if problem:
                raise RuntimeError(problem)
            return
        current, needed = self.db.revisions()
        if current != needed:
            msg = (
                f"The database's tables are at revision {current}, this version of datarun needs "
                f"{needed}: run `datarun db upgrade`."
            )
            raise RuntimeError(msg)

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work()))

    async def _tidy(self) -> None:
        while True:
            try:
                await self.reconciler.tidy()
                await self.uploads.collect()
                await self.submit.collect()
            except Exception:
                log.exception("Tidying up failed; trying again in an hour")
            await asyncio.sleep(TIDY_S)

    async def _connected(self, shared: Shared) -> None:
        await self.publisher.connect(shared.broker_url)
        await self._connect_relay(shared.redis_url)
        self.dispatcher.broker_changed()

    async def _connect_relay(self, url: str) -> None:
        await self.relay.connect(url)
        self.hub.relay = self.relay

    async def _runner_died(self, pid: int, fault: bool) -> None:
        await self.reconciler.runner_died(host=host_name(), pid=pid, fault=fault)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
