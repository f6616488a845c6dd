"""A runner reduced to its protocol: real messages from the real broker, real HTTP to the master."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis
from pydantic import BaseModel

from datarun_ext.codecs import pack
from datarun_ext.protocol import (
    HEADER_PROTOCOL,
    PROTOCOL,
    Claim,
    File,
    FoldJob,
    FoldOutcome,
    Labels,
    Measure,
    Phase,
    Registration,
    SandboxLevel,
    SplitJob,
    SplitOutcome,
    pack_outcome,
)
from datarun_ext.services.master import Master
from tests.conftest import RUNNER_TOKEN, Api
from tests.handlers.things import CSV, N_TEST, N_TRAIN, created, dataset

LABELS = Labels(
    kind="classes",
    classes=("x", "y", "z"),
    train=pack(np.arange(N_TRAIN, dtype="<i8") % 3),
    test=pack(np.arange(N_TEST, dtype="<i8") % 3),
)
GOOD_TRAIN = np.eye(3)[np.arange(N_TRAIN) % 3]
GOOD_TEST = np.eye(3)[np.arange(N_TEST) % 3]
MEASURES = {
    phase: Measure(wall_s=1.5 * k, cpu_s=2.5 * k, memory_kb=1000.0 * k)
    for k, phase in enumerate(Phase, start=1)
}


@dataclass
class HttpRunner:
    """Does by hand what `celery_app` does."""

    api: Api
    master: Master
    id: int = 0

    @classmethod
    def of(cls, api: Api, master: Master, token: str = RUNNER_TOKEN) -> HttpRunner:
        headers = {"Authorization": f"Bearer {token}", HEADER_PROTOCOL: str(PROTOCOL)}
        return cls(Api(api.client, api.base_url, headers), master)

    async def post(self, path: str, message: BaseModel | bytes) -> tuple[int, Any]:
        body = message if isinstance(message, bytes) else message.model_dump_json().encode()
        response = await self.api.fetch("POST", f"runapp/runner/{path}/", body)
        return response.code, json.loads(response.body) if response.body else None

    async def register(self, name: str = "host:1", slots: int = 2) -> None:
        status, answer = await self.post("register", registration(name=name, slots=slots))
        assert status == 200, answer
        self.id = answer["runner_id"]

    async def bell(self, queue: str) -> tuple[Any, int]:
        """Take the next message of a queue from the broker: (id, attempt)."""
        pool = self.master.pool
        assert pool is not None
        assert await pool.ready(20), pool.problem
        assert pool.shared is not None
        url = pool.shared.redis_url

        def take() -> Any:
            with redis.Redis.from_url(url, socket_timeout=30) as client:
                return client.brpop([queue], timeout=20)

        found = await asyncio.to_thread(take)
        assert found is not None, f"no message on queue {queue}"
        args = json.loads(base64.b64decode(json.loads(found[1])["body"]))[0]
        return args[0], args[1]

    async def claim(self, kind: str, work_id: Any, attempt: int) -> tuple[int, Any]:
        return await self.post(
            f"claim/{kind}", Claim(runner_id=self.id, id=work_id, attempt=attempt)
        )

    async def take(self, kind: str, queue: str) -> Any:
        """Claim what the next message announces that still holds."""
        status = 409
        while status == 409:  # an outdated doorbell, which a runner drops
            status, answer = await self.claim(kind, *await self.bell(queue))
        assert status == 200, answer
        return answer

    async def take_fold(self, queue: str = "L") -> FoldJob:
        return FoldJob.model_validate(await self.take("fold", queue))

    async def take_split(self) -> SplitJob:
        return SplitJob.model_validate(await self.take("split", "celery"))

    async def put_file(self, job: SplitJob, name: str, content: bytes) -> tuple[int, Any]:
        response = await self.api.fetch(
            "PUT",
            f"runapp/runner/blob/{job.dataset.id}/{name}",
            content,
            params={"task_id": job.task_id, "attempt": job.attempt},
        )
        return response.code, json.loads(response.body)

    async def finish_split(self, job: SplitJob) -> None:
        """Split as if train.csv were the first ten rows."""
        lines = CSV.splitlines(keepends=True)
        files = []
        for name, part in (("train.csv", lines[1:11]), ("test.csv", lines[11:])):
            status, answer = await self.put_file(job, name, b"".join((lines[0], *part)))
            assert status == 201, answer
            files.append(File.model_validate(answer))
        status, answer = await self.post("result/split", split_outcome(job, files=tuple(files)))
        assert status == 204, answer

    async def result(
        self,
        job: FoldJob,
        train: np.ndarray[Any, Any] = GOOD_TRAIN,
        test: np.ndarray[Any, Any] = GOOD_TEST,
        **changes: Any,
    ) -> tuple[int, Any]:
        """Hand in predictions, or a failure."""
        outcome = FoldOutcome(
            **{
                "fold_id": job.fold_id,
                "attempt": job.attempt,
                "measures": MEASURES,
                "log": "hello\n",
                **({} if changes.get("reason") else shapes(train, test)),
                **changes,
            }
        )
        arrays = () if outcome.reason else (train.tobytes(), test.tobytes())
        return await self.post("result/fold", pack_outcome(outcome, *arrays))


def shapes(train: np.ndarray[Any, Any], test: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {
        "full_train_shape": train.shape,
        "full_train_dtype": "float64",
        "test_shape": test.shape,
        "test_dtype": "float64",
    }


def registration(**changes: Any) -> Registration:
    values = {
        "protocol": PROTOCOL,
        "name": "host:1",
        "host": "host",
        "pid": 1,
        "slots": 2,
        "queues": ("H", "L", "celery"),
        "sandbox": SandboxLevel.FULL,
    }
    return Registration(**{**values, **changes})


def split_outcome(job: SplitJob, **changes: Any) -> SplitOutcome:
    values = {
        "task_id": job.task_id,
        "attempt": job.attempt,
        "n_train": N_TRAIN,
        "n_test": N_TEST,
        "labels": LABELS,
        "columns": ("a", "b", "kind"),
    }
    return SplitOutcome(**{**values, **changes})


async def split_dataset(api: Api, runner: HttpRunner, name: str = "iris") -> int:
    """Create a dataset and split it; return its id."""
    if not runner.id:
        await runner.register()
    made = await created(api, "runapp/rawdata/", dataset(name))
    body = {"raw_data_id": made["id"], "held_out_test": 5}
    status, answer = await api("POST", "runapp/rawdata/split/", body)
    assert status == 200, answer
    await runner.finish_split(await runner.take_split())
    return int(made["id"])
