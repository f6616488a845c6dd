"""The master's services without a server: a dataset that is split, folds, and runners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import update

from datarun_ext.codecs import pack, pack_indices
from datarun_ext.config import Settings
from datarun_ext.models import Priority, RawData, SplitState, SubmissionFold, Task
from datarun_ext.options import Options
from datarun_ext.protocol import (
    PROTOCOL,
    Claim,
    File,
    FoldJob,
    FoldOutcome,
    Labels,
    Reason,
    Registration,
    SandboxLevel,
    SplitOutcome,
    pack_outcome,
)
from datarun_ext.services.database import Database
from datarun_ext.services.datasets import Datasets
from datarun_ext.services.dispatch import Bell, _take
from datarun_ext.services.events import EventHub
from datarun_ext.services.files import hash_file
from datarun_ext.services.folds import Folds
from datarun_ext.services.gate import Gate
from datarun_ext.services.new import Indices, NewDataset, NewFold, NewSubmission
from datarun_ext.services.principal import Principal
from datarun_ext.services.reconcile import Reconciler
from datarun_ext.services.splits import Splits
from datarun_ext.services.submit import Submit
from datarun_ext.services.uploads import Uploads

ALICE, BOB, ROOT = Principal("alice"), Principal("bob"), Principal("root", is_superuser=True)
N_TRAIN, N_TEST = 6, 4
TRAIN = np.eye(2)[np.arange(N_TRAIN) % 2]
TEST = np.eye(2)[np.arange(N_TEST) % 2]


def settings_of(folder: Path, **options: Any) -> Settings:
    values = {"data_dir": str(folder / "data"), "runtime_dir": str(folder / "run"), **options}
    return Settings.from_options(Options(**values))


def indices() -> Indices:
    return Indices(train_is=pack_indices([0, 1, 2, 3]), test_is=pack_indices([4, 5]), highest=5)


def claim_of(bell: Bell, runner_id: int = 1, key: str = "") -> Claim:
    """What a runner sends for a message."""
    return Claim(runner_id=runner_id, id=bell.work_id, attempt=bell.attempt, key=key)


@dataclass
class World:
    """Services that share one database, as in a master."""

    db: Database
    settings: Settings
    hub: EventHub
    datasets: Datasets
    submit: Submit
    folds: Folds
    gate: Gate
    reconciler: Reconciler
    raw_data_id: int = 0
    woken: list[None] = field(default_factory=list)

    @classmethod
    def around(cls, db: Database, settings: Settings) -> World:
        woken: list[None] = []

        def wake() -> None:
            woken.append(None)

        hub = EventHub(db=db)
        uploads = Uploads(db=db, settings=settings)
        return cls(
            db=db,
            settings=settings,
            hub=hub,
            datasets=Datasets(db=db, settings=settings, uploads=uploads),
            submit=Submit(db=db, settings=settings),
            folds=Folds(db=db, wake=wake),
            gate=Gate(db=db, settings=settings, hub=hub, wake=wake),
            reconciler=Reconciler(db=db, settings=settings, wake=wake),
            woken=woken,
        )

    @classmethod
    async def start(cls, db: Database, settings: Settings) -> World:
        world = cls.around(db, settings)
        await world.hub.start()
        world.raw_data_id = await world.new_dataset("iris")
        return world

    async def new_dataset(self, name: str, who: Principal = ALICE) -> int:
        """Make a dataset and write down its split."""
        new = NewDataset(
            name=name,
            target_column="y",
            workflow_elements="classifier",
            files={"a.csv": b"x,y\n1,a\n"},
        )
        made = await self.datasets.create(who=who, new=new)

        def split(session: Any) -> None:
            dataset = session.get(RawData, made.id)
            dataset.split_state = SplitState.DONE
            dataset.n_train, dataset.n_test = N_TRAIN, N_TEST
            dataset.classes = ["a", "b"]
            dataset.labels = Labels(
                kind="classes",
                classes=("a", "b"),
                train=pack((np.arange(N_TRAIN, dtype="<i8") % 2).tobytes()),
                test=pack((np.arange(N_TEST, dtype="<i8") % 2).tobytes()),
            ).model_dump(mode="json")

        await self.db.write(split)
        return made.id

    async def split(self, raw_data_id: int, *, labels: Labels, files: Sequence[str] = ()) -> None:
        """Split a dataset as a runner would: files of these names, and these labels."""
        splits = Splits(db=self.db, wake=lambda: None)
        task = await splits.split(who=ROOT, raw_data_id=raw_data_id, held_out_test=0.5)
        bell = next(bell for bell in await self.dispatch() if bell.work_id == task.id)
        await self.gate.claim_split(claim=claim_of(bell))
        made = []
        for name in files:
            path = await self.gate.made_file(
                task_id=task.id, attempt=bell.attempt, raw_data_id=raw_data_id, name=name
            )
            path.write_bytes(b"x,y\n1,a\n")
            sha256, size = hash_file(path)
            made.append(File(name=name, sha256=sha256, size=size))
        outcome = SplitOutcome(
            task_id=task.id,
            attempt=bell.attempt,
            files=tuple(made),
            n_train=N_TRAIN,
            n_test=N_TEST,
            labels=labels,
        )
        await self.gate.split_result(outcome=outcome)

    async def new_fold(
        self,
        fold_id: int | None = None,
        submission_id: int | None = 1,
        *,
        who: Principal = ALICE,
        priority: Priority = Priority.LOW,
        **changes: Any,
    ) -> int:
        new = NewSubmission(
            submission_id=submission_id,
            raw_data_id=changes.pop("raw_data_id", self.raw_data_id),
            files=changes.pop("files", {"classifier.py": b"1\n"}),
            folds=[NewFold(indices=indices(), fold_id=fold_id, priority=priority)],
            **changes,
        )
        _, folds = await self.submit.submit(who=who, new=new, broker_up=True)
        return folds[0].databoard_sf_id

    async def register(self, name: str = "host:1", slots: int = 2) -> int:
        registration = Registration(
            protocol=PROTOCOL,
            name=name,
            host="host",
            pid=int(name.partition(":")[2]),
            slots=slots,
            queues=("H", "L", "celery"),
            sandbox=SandboxLevel.FULL,
        )
        return (await self.gate.register(registration=registration)).runner_id

    async def dispatch(self) -> list[Bell]:
        """Take what the dispatcher would send now."""
        return await self.db.write(_take, settings=self.settings)

    async def claim(self, bell: Bell, runner_id: int = 1, key: str = "") -> FoldJob:
        return await self.gate.claim_fold(claim=claim_of(bell, runner_id, key))

    async def finish(self, fold_id: int, attempt: int, reason: Reason | None = None) -> None:
        """Hand in a result."""
        shapes = {"full_train_shape": TRAIN.shape, "test_shape": TEST.shape}
        outcome = FoldOutcome(
            fold_id=fold_id,
            attempt=attempt,
            reason=reason,
            detail="" if reason is None else "why",
            **({} if reason else shapes),
        )
        arrays = () if reason else (TRAIN.tobytes(), TEST.tobytes())
        await self.gate.fold_result(body=pack_outcome(outcome, *arrays))

    async def fold(self, fold_id: int) -> SubmissionFold:
        return await self.folds.get(who=ROOT, fold_id=fold_id)

    async def expire(self, fold_id: int | None = None) -> None:
        """Let leases run out."""

        def work(session: Any) -> None:
            for table, key in ((SubmissionFold, SubmissionFold.databoard_sf_id), (Task, None)):
                statement = update(table).values(lease_until=1.0)
                if fold_id is not None and key is not None:
                    statement = statement.where(key == fold_id)
                session.execute(statement.where(table.lease_until.is_not(None)))

        await self.db.write(work)
