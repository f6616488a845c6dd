"""Who works, and whether all is well."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datarun_ext.config import Settings
from datarun_ext.models import RUNNING, Runner, Stage, SubmissionFold
from datarun_ext.services.database import Database, now
from datarun_ext.services.files import DISK_RESERVE

FORGOTTEN_S = 3600.0


@dataclass(frozen=True, slots=True)
class RunnerView:
    """A runner and how busy it is."""

    runner: Runner
    busy: int
    alive: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps folds from running, and what to do about it."""

    part: str
    message: str
    remedy: str
    log: str = ""
    """What the part wrote: it may tell of the machine, so only superusers see it."""


@dataclass(frozen=True, slots=True)
class Health:
    """One line on the platform, and what is wrong with it."""

    status: str
    problems: Sequence[Problem]
    broker: bool
    runners: int
    slots: int
    busy: int
    queued: int


class Runners:
    """Looks at the runners."""

    def __init__(
        self, *, db: Database, settings: Settings, problems: Callable[[], Sequence[Problem]]
    ) -> None:
        self.db = db
        self.settings = settings
        self._problems = problems
        # A runner of the master's own that does not come up is among its problems.
        self._has_own_runner = settings.embedded and settings.local_runner

    async def list(self) -> Sequence[RunnerView]:
        """Return the runners that were heard within the last hour."""
        return await self.db.read(_list, lease_s=self.settings.lease_s)

    async def health(self) -> Health:
        """Return whether folds can run now and, if not, why."""
        views = [view for view in await self.list() if view.alive]
        queued = await self.db.read(_queued)
        problems = list(self._problems())
        broker = not any(problem.part == "broker" for problem in problems)
        starting = not problems and not views and self._has_own_runner
        if not views and queued and not problems and not starting:
            problems.append(
                Problem(
                    "runner",
                    f"{queued} folds wait and no runner is alive.",
                    "Start one with `datarun runner`, or look into the runner's log.",
                )
            )
        free = shutil.disk_usage(self.settings.data_dir).free
        if free < 2 * DISK_RESERVE:
            problems.append(
                Problem(
                    "disk",
                    f"{free >> 20} MB are left in {self.settings.data_dir}.",
                    "Delete datasets that are no longer needed, or move data_dir to a larger disk.",
                )
            )
        return Health(
            status="degraded" if problems else "starting" if starting else "ok",
            problems=problems,
            broker=broker,
            runners=len(views),
            slots=sum(view.runner.slots for view in views),
            busy=sum(view.busy for view in views),
            queued=queued,
        )


def _list(session: Session, *, lease_s: float) -> list[RunnerView]:
    busy: dict[int | None, int] = {
        runner_id: count
        for runner_id, count in session.execute(
            select(SubmissionFold.runner_id, func.count())
            .where(SubmissionFold.stage.in_(RUNNING))
            .group_by(SubmissionFold.runner_id)
        )
    }
    runners = session.scalars(
        select(Runner).where(Runner.last_beat > now() - FORGOTTEN_S).order_by(Runner.id)
    )
    return [
        RunnerView(runner, busy.get(runner.id, 0), runner.last_beat > now() - lease_s)
        for runner in runners
    ]


def _queued(session: Session) -> int:
    query = select(func.count()).where(SubmissionFold.stage.in_((Stage.QUEUED, Stage.DISPATCHED)))
    return session.scalar(query) or 0
