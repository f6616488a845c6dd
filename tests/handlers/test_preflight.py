"""`?preflight=1`: a runner's answer comes back in that of the request, or nothing is stored."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from datarun_ext.codecs import pack, pack_indices, unpack_indices
from datarun_ext.models import RawData, SplitState, Task, TaskKind, TaskState
from datarun_ext.protocol import Labels, PreflightJob, PreflightOutcome, Reason, UserLine
from datarun_ext.services import preflight
from datarun_ext.services.cv import few_rows
from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.over_http import HttpRunner, split_dataset
from tests.handlers.things import (
    CLASSIFIER,
    N_TEST,
    N_TRAIN,
    created,
    dataset,
    fold,
    packed,
    stored,
)

FOLDS, SUBMISSIONS = "runapp/submissionfold/", "runapp/submission/"
LINE = UserLine(file="classifier.py", line=3, text="    return x\0")


async def ask(api: Api, path: str = FOLDS, body: Any = None) -> tuple[int, Any]:
    return await api("POST", path, fold() if body is None else body, {"preflight": "1"})


async def take(runner: HttpRunner) -> PreflightJob:
    return PreflightJob.model_validate(await runner.take("preflight", "H"))


async def tell(runner: HttpRunner, job: PreflightJob, **changes: Any) -> int:
    outcome = PreflightOutcome(task_id=job.task_id, attempt=job.attempt, **changes)
    return (await runner.post("result/preflight", outcome))[0]


async def things(master: Master) -> dict[str, Any]:
    found = await stored(master)
    return {name: found[name] for name in ("submission", "submission_fold", "task", "files")}


@pytest.fixture
def split(api: Api, runner: HttpRunner, jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    """Let dataset 1 be there, and split."""
    jp_asyncio_loop.run_until_complete(split_dataset(api, runner))


async def test_a_failure_is_the_answer_and_nothing_is_stored(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    before = await things(master)
    asked = asyncio.create_task(ask(api))
    job = await take(runner)
    assert {name: base64.b64decode(text) for name, text in job.files.items()} == {
        "classifier.py": CLASSIFIER
    }
    assert (job.n_train, job.n_test) == (N_TRAIN, N_TEST)
    assert unpack_indices(job.train_is).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert (job.limits.soft_s, job.limits.hard_s) == (5, 8)
    failure = {
        "reason": Reason.USER_ERROR,
        "detail": "NameError: no x",
        "traceback": "Traceback",
        "user_line": LINE,
        "log": "hello\0\n",
    }
    assert await tell(runner, job, **failure) == 204
    status, answer = await asked
    assert status == 400
    assert answer == {
        "preflight": [
            "On at most 50 rows the submission failed (classifier.py, line 3): NameError: no x"
        ],
        "reason": "USER_ERROR",
        "detail": "NameError: no x",
        "traceback": "Traceback",
        "user_line": {"file": "classifier.py", "line": 3, "text": "    return x\ufffd"},
        "log": "hello\ufffd\n",
    }
    assert await things(master) == before


@pytest.mark.parametrize("path", [FOLDS, SUBMISSIONS])
async def test_what_passes_goes_on_as_without(
    api: Api, runner: HttpRunner, master: Master, split: None, path: str
) -> None:
    files = {"classifier.py": packed(CLASSIFIER)}
    cv = {"kind": "kfold", "n_splits": 3}
    body = fold() if path == FOLDS else {"raw_data": 1, "files": files, "cv": cv}
    before = await things(master)
    asked = asyncio.create_task(ask(api, path, body))
    assert await tell(runner, await take(runner)) == 204
    status, answer = await asked
    assert status == 201, answer
    after = await things(master)
    assert after["submission_fold"] == before["submission_fold"] + (1 if path == FOLDS else 3)
    assert after["task"] == before["task"]


async def test_without_a_runner_it_is_said_and_a_late_answer_is_fenced(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    before = await things(master)
    master.preflights.answer_s = 0.2
    status, answer = await ask(api)
    assert status == 503
    assert "No runner was free" in answer["detail"]
    assert "without preflight" in answer["detail"]
    assert (await runner.claim("preflight", *await runner.bell("H")))[0] == 409
    assert await things(master) == before


async def test_a_dataset_that_is_deleted_meanwhile(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    job = await take(runner)
    assert (await api("DELETE", "runapp/rawdata/1/"))[0] == 204
    assert await tell(runner, job) == 409
    status, answer = await asked
    assert status == 404
    assert "deleted while" in answer["detail"]


async def test_a_slow_runner_is_told_apart(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    master.preflights.answer_s = 4.0
    asked = asyncio.create_task(ask(api))
    await take(runner)
    status, answer = await asked
    assert status == 503
    assert "may load the dataset" in answer["detail"]


async def test_a_fault_of_the_platform_is_not_the_submissions(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    await tell(runner, await take(runner), reason=Reason.PLATFORM, detail="no sandbox")
    status, answer = await asked
    assert status == 503
    assert "no sandbox" in answer["detail"]


async def test_a_lost_runner_is_said_at_once_and_the_dataset_is_as_before(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    await take(runner)
    assert await master.reconciler.runner_died(host="host", pid=1, fault=True) == 1
    status, answer = await asked
    assert status == 503
    assert "Runner host:1 died" in answer["detail"]
    state = await master.db.read(lambda s: s.scalar(select(RawData.split_state)))
    assert state == SplitState.DONE


async def test_an_answer_that_another_master_has_taken_is_seen(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    job = await take(runner)
    outcome = PreflightOutcome(task_id=job.task_id, attempt=job.attempt, reason=Reason.BAD_OUTPUT)
    await master.db.write(preflight.commit_preflight, outcome=outcome)
    status, answer = await asked
    assert (status, answer["reason"]) == (400, "BAD_OUTPUT")


async def test_a_dataset_must_be_split(api: Api, master: Master) -> None:
    await created(api, "runapp/rawdata/", dataset())
    before = await things(master)
    status, answer = await ask(api)
    assert status == 409
    assert "split it first" in answer["detail"]
    assert await things(master) == before


async def test_large_files_are_refused(api: Api, master: Master, split: None) -> None:
    large = np.random.default_rng(0).bytes(preflight.FILES_MAX + 1)
    body = fold(files={"classifier.py": packed(large)})
    status, answer = await ask(api, FOLDS, body)
    assert status == 413
    assert "without preflight" in answer["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"train_is": packed(np.array([N_TRAIN], dtype="<i8").tobytes())}, "train_is"),
        ({"files": ...}, "files"),
        ({"raw_data": ...}, "raw_data"),
        ({"limits": {"soft_s": 1e9}}, "limits"),
    ],
)
async def test_a_wrong_request_is_answered_without_a_runner(
    api: Api, master: Master, split: None, changes: dict[str, Any], field: str
) -> None:
    status, answer = await ask(api, FOLDS, fold(**changes))
    assert status == 400
    assert list(answer) == [field]


async def test_the_argument_is_checked(api: Api, split: None) -> None:
    status, answer = await api("POST", FOLDS, fold(), {"preflight": "perhaps"})
    assert status == 400
    assert "preflight" in answer
    assert (await api("POST", FOLDS, fold(), {"preflight": "0"}))[0] == 201


async def test_a_person_has_only_a_few_at_once(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = [asyncio.create_task(ask(api)) for _ in range(preflight.AT_ONCE)]
    jobs = [await take(runner) for _ in asked]
    status, answer = await ask(api)
    assert status == 429
    assert "wait for them" in answer["detail"]
    for job in jobs:
        await tell(runner, job, reason=Reason.USER_ERROR)
    assert [status for status, _ in await asyncio.gather(*asked)] == [400] * preflight.AT_ONCE


async def test_a_trial_is_no_split(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    bell = await runner.bell("H")
    assert (await runner.claim("split", *bell))[0] == 409
    status, answer = await runner.claim("preflight", *bell)
    assert status == 200
    await tell(runner, PreflightJob.model_validate(answer), reason=Reason.USER_ERROR)
    assert (await asked)[0] == 400


async def test_what_a_killed_master_left_is_removed(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    def leave(session: Any) -> None:
        values = {"kind": TaskKind.PREFLIGHT, "raw_data_id": 1, "owner": "ada"}
        session.add(Task(id="old", state=TaskState.STARTED, created=1.0, lease_until=1.0, **values))

    await master.db.write(leave)
    await master.reconciler.look()
    assert await master.db.read(lambda session: session.get(Task, "old")) is None


async def test_a_split_that_ends_is_the_newest_whatever_is_tried_meanwhile(
    api: Api, runner: HttpRunner, master: Master, split: None
) -> None:
    asked = asyncio.create_task(ask(api))
    job = await take(runner)
    body = {"raw_data_id": 1, "held_out_test": 5}
    assert (await api("POST", "runapp/rawdata/split/", body))[0] == 200
    later = update(Task).where(Task.id == job.task_id).values(created=Task.created + 1000)
    await master.db.write(lambda session: session.execute(later) and None)
    await runner.finish_split(await runner.take_split())
    state = await master.db.read(lambda s: s.scalar(select(RawData.split_state)))
    assert state == SplitState.DONE
    await tell(runner, job, reason=Reason.USER_ERROR)
    assert (await asked)[0] == 400


def rows_of(labels: Labels, n: int) -> list[int]:
    known = RawData(labels=labels.model_dump(mode="json"))
    rows = few_rows(pack_indices(np.arange(n)[::-1]), known, most=50)
    assert (np.diff(rows) > 0).all()
    return [int(row) for row in rows]


def classes(codes: Any) -> Labels:
    names = tuple(str(code) for code in np.unique(codes))
    return Labels(kind="classes", classes=names, train=pack(np.asarray(codes, "<i8").tobytes()))


def test_every_class_is_among_the_few_rows() -> None:
    codes = np.zeros(1000, dtype="<i8")
    codes[[990, 995]] = 1
    rows = rows_of(classes(codes), 1000)
    assert len(rows) == 50
    assert {990, 995} < set(rows)


def test_of_many_classes_the_most_frequent_have_ten_rows_each() -> None:
    codes = np.repeat(np.arange(8), [20, 30, 40, 11, 50, 60, 12, 13])
    found = codes[rows_of(classes(codes), len(codes))]
    assert np.unique(found, return_counts=True)[0].tolist() == [0, 1, 2, 4, 5]
    assert set(np.unique(found, return_counts=True)[1].tolist()) == {10}


def test_numbers_are_taken_from_the_whole_fold() -> None:
    rows = rows_of(Labels(kind="numbers"), 500)
    assert len(rows) == 50
    assert (rows[0], rows[-1]) == (0, 499)
    assert rows_of(Labels(), 7) == list(range(7))
