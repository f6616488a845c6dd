"""The runners' door: they introduce themselves, claim work, show signs of life, hand in results.

Whatever a runner says is checked against the attempt that it was given; what is not its own any
more raises `Fenced` and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from datarun_ext.config import Settings
from datarun_ext.errors import BadRequest, Conflict, Fenced, NotFound
from datarun_ext.models import (
    RawData,
    Runner,
    StoredFile,
)
from datarun_ext.protocol import (
    PROTOCOL,
    Beat,
    BeatAnswer,
    Claim,
    FoldJob,
    FoldProgress,
    PreflightJob,
    PreflightOutcome,
    Registered,
    Registration,
    SplitJob,
    SplitOutcome,
    SplitProgress,
    unpack_outcome,
)
from datarun_ext.services.alarms import Alarms
from datarun_ext.services.arrival import Arrival, held
from datarun_ext.services.claims import FENCED, claim_fold, claim_split, own_task, register
from datarun_ext.services.database import Database, now
from datarun_ext.services.events import EventHub, LogText
from datarun_ext.services.files import clean_name
from datarun_ext.services.preflight import claim_preflight, commit_preflight
from datarun_ext.services.results import (
    commit_fold,
    commit_split,
    facts_of,
    fold_progress,
    judge,
    made_path,
)


class Gate:
    """Serves runners."""

    def __init__(
        self, *, db: Database, settings: Settings, hub: EventHub, wake: Callable[[], None]
    ) -> None:
        self.db = db
        self.settings = settings
        self.hub = hub
        self.alarms = Alarms()
        self.preflight_ended: list[Callable[[str], None]] = []
        """Called with the task id of each trial that a runner of this master has ended."""
        hub.listeners.append(self.alarms.hear)
        self._wake = wake

    async def register(self, *, registration: Registration) -> Registered:
        """Let a runner in.

        Raises
        ------
        Conflict
            If it speaks another version of the protocol.
        """
        if registration.protocol != PROTOCOL:
            msg = (
                f"Runner {registration.name} speaks protocol {registration.protocol}, this master "
                f"{PROTOCOL}: install the same version of datarun on both."
            )
            raise Conflict(msg)
        runner_id = await self.db.write(register, registration=registration)
        self._wake()
        return Registered(
            runner_id=runner_id,
            heartbeat_s=self.settings.heartbeat_s,
            lease_s=self.settings.lease_s,
        )

    async def beat(self, *, beat: Beat) -> BeatAnswer:
        """Note that a runner is alive, and tell it of alarms as they come.

        Raises
        ------
        NotFound
            If it must register again.
        """

        def work(session: Session) -> bool:
            runner = session.get(Runner, beat.runner_id)
            if runner is not None:
                runner.last_beat = now()
            return runner is not None

        if not await self.db.write(work):
            raise NotFound
        return BeatAnswer(alarm=await self.alarms.after(beat.alarm, wait_s=beat.wait_s))

    async def claim_fold(self, *, claim: Claim) -> FoldJob:
        """Give a runner the fold that a message announced to it. Raises Fenced."""
        job = await self.db.write(claim_fold, claim=claim, settings=self.settings)
        self._wake()
        return job

    async def claim_split(self, *, claim: Claim) -> SplitJob:
        """Give a runner the split that a message announced to it. Raises Fenced."""
        return await self.db.write(claim_split, claim=claim, settings=self.settings)

    async def claim_preflight(self, *, claim: Claim) -> PreflightJob:
        """Give a runner the trial that a message announced to it. Raises Fenced."""
        return await self.db.write(claim_preflight, claim=claim, settings=self.settings)

    async def fold_progress(self, *, progress: FoldProgress) -> bool:
        """Renew a fold's lease and show how far it is; False if the runner must end it."""
        owner = await self.db.write(fold_progress, progress=progress, lease_s=self.settings.lease_s)
        if owner is not None and progress.log:
            self.hub.say(LogText(progress.fold_id, progress.attempt, owner, progress.log))
        return owner is not None

    async def split_progress(self, *, progress: SplitProgress) -> bool:
        """Renew the lease of a split or a trial; False if the runner must end it."""

        def work(session: Session) -> bool:
            task = own_task(session, progress.task_id, progress.attempt)
            if task is not None:
                task.lease_until = now() + self.settings.lease_s
            return task is not None

        return await self.db.write(work)

    async def renew(self, subject: FoldProgress | SplitProgress) -> bool:
        """Renew a lease; False if the work is not its runner's any more."""
        if isinstance(subject, FoldProgress):
            return await self.fold_progress(progress=subject)
        return await self.split_progress(progress=subject)

    def arrival(self, *, size: int) -> Arrival:
        """Return where a result of so many bytes is kept while it comes in."""
        return Arrival(self.renew, lease_s=self.settings.lease_s, size=size)

    async def fold_result(self, *, body: bytes) -> None:
        """Commit how a fold ended. When this returns, it is in the database.

        Raises
        ------
        BadRequest
            If the body is broken.
        Fenced
            If the fold is not the runner's any more.
        """
        try:
            outcome, full_train, test = await asyncio.to_thread(unpack_outcome, body)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        facts = await self.db.read(facts_of, outcome=outcome)
        if facts is None:
            return
        subject = FoldProgress(fold_id=outcome.fold_id, attempt=outcome.attempt)
        async with held(self.renew, subject, lease_s=self.settings.lease_s):
            outcome, values = await asyncio.to_thread(judge, outcome, full_train, test, *facts)
            await self.db.write(commit_fold, outcome=outcome, values=values)
        self._wake()

    async def split_result(self, *, outcome: SplitOutcome) -> None:
        """Commit how a split ended. Raises Fenced."""
        await self.db.write(commit_split, outcome=outcome)
        self._wake()

    async def preflight_result(self, *, outcome: PreflightOutcome) -> None:
        """Commit how a trial ended, and tell who waits for it here. Raises Fenced."""
        await self.db.write(commit_preflight, outcome=outcome)
        for hear in self.preflight_ended:
            hear(outcome.task_id)

    async def blob(self, *, sha256: str) -> Path:
        """Return where a file of that content is. Raises NotFound."""
        query = select(StoredFile.path).where(StoredFile.sha256 == sha256)

        def work(session: Session) -> Path | None:
            paths = map(Path, session.scalars(query))
            return next((path for path in paths if path.is_file()), None)

        found = await self.db.read(work)
        if found is None:
            raise NotFound
        return found

    async def made_file(self, *, task_id: str, attempt: int, raw_data_id: int, name: str) -> Path:
        """Return where a running split may put a file that it made. Raises Fenced."""
        clean_name(name, field="name")

        def work(session: Session) -> str:
            task = own_task(session, task_id, attempt)
            if task is None or task.raw_data_id != raw_data_id:
                raise Fenced(FENCED)
            return session.get_one(RawData, raw_data_id).files_path

        folder = Path(await self.db.read(work))
        return made_path(folder, name, task_id, attempt)
