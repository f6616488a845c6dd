"""The runners' door: claims, signs of life, results; what is broken or late changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from datarun_ext.models import SubmissionFold
from datarun_ext.protocol import (
    Beat,
    File,
    FoldOutcome,
    FoldProgress,
    Phase,
    Reason,
    SplitProgress,
    pack_outcome,
)
from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.over_http import (
    GOOD_TEST,
    GOOD_TRAIN,
    HttpRunner,
    shapes,
    split_dataset,
    split_outcome,
)
from tests.handlers.things import CSV, created, dataset, fold, stored


async def full(api: Api, fold_id: int = 11) -> dict[str, object]:
    status, found = await api("GET", f"runapp/submissionfold/{fold_id}/", params={"view": "full"})
    assert status == 200
    return dict(found)


async def test_a_job_says_all_that_a_runner_needs_and_no_label(
    api: Api, runner: HttpRunner
) -> None:
    await split_dataset(api, runner)
    made = await created(api, "runapp/submissionfold/", fold(limits={"hard_s": 20}))
    work = await runner.bell("L")
    status, answer = await runner.claim("fold", *work)
    assert status == 200
    assert answer["train_is"] == made["train_is"]
    assert "test_is" not in answer
    assert "labels" not in json.dumps(answer)
    assert (answer["n_train"], answer["n_test"]) == (10, 5)
    assert (answer["limits"]["hard_s"], answer["limits"]["soft_s"]) == (20, 20)
    names = {file["name"] for file in answer["dataset"]["files"]}
    assert {"train.csv", "test.csv"} <= names
    for file in (*answer["dataset"]["files"], *answer["files"]):
        blob = await runner.api.fetch("GET", f"runapp/runner/blob/{file['sha256']}/")
        assert (blob.code, len(blob.body)) == (200, file["size"])
    assert (await runner.api.fetch("GET", f"runapp/runner/blob/{'0' * 64}/")).code == 404
    assert (await runner.claim("fold", *work))[0] == 409  # the doorbell rang twice


async def test_phases_are_seen_one_after_the_other(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    states = [(await full(api))["state"]]
    for done in ((Phase.TRAIN,), (Phase.TRAIN, Phase.VALIDATION)):
        progress = FoldProgress(fold_id=11, attempt=job.attempt, done=done)
        assert await runner.post("progress/fold", progress) == (200, {"end": False})
        states.append((await full(api))["state"])
    assert (await runner.result(job))[0] == 204
    states.append((await full(api))["state"])
    assert states == ["TODO", "TRAINED", "VALIDATED", "TESTED"]
    late = FoldProgress(fold_id=11, attempt=job.attempt, done=(Phase.TRAIN,), log="late")
    assert await runner.post("progress/fold", late) == (200, {"end": True})
    assert (await full(api))["state"] == "TESTED"
    assert (await runner.result(job))[0] == 204  # the answer was lost, so it came again


class TestSlowLine:
    """A result keeps its fold's lease while it comes in."""

    @pytest.fixture
    def datarun_config(self, datarun_config: dict[str, Any]) -> dict[str, Any]:
        # Leases end by the test's hand alone.
        return {**datarun_config, "lease_s": 0.5, "heartbeat_s": 0.1, "reconcile_s": 1000.0}

    async def test_result(self, api: Api, runner: HttpRunner) -> None:
        await split_dataset(api, runner)
        await created(api, "runapp/submissionfold/", fold())
        job = await runner.take_fold()
        outcome = FoldOutcome(
            fold_id=11, attempt=job.attempt, log="x" * 50_000, **shapes(GOOD_TRAIN, GOOD_TEST)
        )
        body = pack_outcome(outcome, GOOD_TRAIN.tobytes(), GOOD_TEST.tobytes())

        async def slowly(write: Callable[[bytes], Awaitable[None]]) -> None:
            await write(body[:1000])
            await runner.master.db.write(expire)
            place = 1000
            while (await full(api))["lease_until"] == 1.0:
                await write(body[place : place + 100])
                place += 100
                await asyncio.sleep(0.1)
            await write(body[place:])

        response = await api.client.fetch(
            f"{api.base_url}runapp/runner/result/fold/",
            method="POST",
            headers={**runner.api.headers, "Content-Length": str(len(body))},
            body_producer=slowly,
            request_timeout=60,
            raise_error=False,
        )
        assert response.code == 204
        assert (await full(api))["state"] == "TESTED"


def expire(session: Session) -> None:
    session.execute(update(SubmissionFold).values(lease_until=1.0))


async def test_an_older_attempt_changes_nothing(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    await runner.master.db.write(expire)
    assert await runner.master.reconciler.look() == 1
    before = await full(api)
    assert before["state"] == "TODO"
    zombie = FoldProgress(fold_id=11, attempt=job.attempt, log="x", done=tuple(Phase))
    assert await runner.post("progress/fold", zombie) == (200, {"end": True})
    assert (await runner.result(job))[0] == 409
    assert (await runner.result(job, reason=Reason.USER_ERROR))[0] == 409
    again = await runner.take_fold()
    assert again.attempt > job.attempt
    assert (await runner.result(job))[0] == 409
    assert (await runner.result(again))[0] == 204
    assert (await runner.result(job))[0] == 409
    assert (await full(api))["state"] == "TESTED"


async def test_a_runner_given_up_hears_that_its_result_is_dropped(
    api: Api, runner: HttpRunner
) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    for _ in range(2):
        job = await runner.take_fold()
        assert (await runner.result(job, reason=Reason.PLATFORM, detail="gone"))[0] == 204
        assert (await full(api))["state"] == "TODO"
    job = await runner.take_fold()
    await runner.master.db.write(expire)
    assert await runner.master.reconciler.look() == 1
    assert (await full(api))["reason"] == "RUNNER_LOST"
    assert (await runner.result(job))[0] == 409
    lost = await full(api)
    assert (lost["state"], lost["reason"]) == ("ERROR", "RUNNER_LOST")
    assert "Runner lost 3 times" in str(lost["detail"])


@pytest.mark.parametrize(
    ("train", "test", "text"),
    [
        (GOOD_TRAIN[:3], GOOD_TEST, "Wrong full train prediction size: \n3 instead of 10 "),
        (GOOD_TRAIN, GOOD_TEST[:1], "Wrong test prediction size: \n1 instead of 5 "),
        (np.zeros((0, 3)), GOOD_TEST, "Wrong full train prediction size: \n0 instead of 10 "),
        (GOOD_TRAIN * np.nan, GOOD_TEST, "30 values that are not finite"),
        (GOOD_TRAIN, np.where(GOOD_TEST > 0, np.inf, GOOD_TEST), "5 values that are not finite"),
    ],
)
async def test_bad_predictions_are_this_folds_error_only(
    api: Api, runner: HttpRunner, train: np.ndarray, test: np.ndarray, text: str
) -> None:
    await split_dataset(api, runner)
    for fold_id in (11, 12):
        await created(api, "runapp/submissionfold/", fold(fold_id))
    job = await runner.take_fold()
    assert (await runner.result(job, train, test))[0] == 204
    failed = await full(api, job.fold_id)
    phase = "test" if text.startswith("Wrong test") or "5 values" in text else "validation"
    assert (failed["state"], failed["reason"]) == ("ERROR", "BAD_OUTPUT")
    assert text in str(failed["log_messages"])
    assert str(failed["log_messages"]).endswith(f" - ERROR({phase})")
    assert failed["full_train_predictions"] is None
    assert (await runner.result(job, train, test))[0] == 204
    other = await runner.take_fold()
    assert (await runner.result(other))[0] == 204
    assert (await full(api, other.fold_id))["state"] == "TESTED"


async def test_broken_bodies(api: Api, runner: HttpRunner, master: Master) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    outcome = FoldOutcome(fold_id=11, attempt=job.attempt, **shapes(GOOD_TRAIN, GOOD_TEST))
    good = pack_outcome(outcome, GOOD_TRAIN.tobytes(), GOOD_TEST.tobytes())
    before = await stored(master)
    for body in (
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff{}",
        good[:-1],
        good + b"x",
        good[: len(good) // 2],
        (2).to_bytes(4, "big") + b"{}",
        (3).to_bytes(4, "big") + b"\xff\xfe{",
        good.replace(b'"fold_id":11', b'"fold_id":"x"'),
        good.replace(b'"fold_id":11', b'"fold_id":11,"extra":1'),
        good.replace(b"[10,3]", b"[10,-3]"),
        good.replace(b"[10,3]", b"[-10,-3]"),
        good.replace(b"[10,3]", b"[9999999999,9999999999]"),
    ):
        status, answer = await runner.post("result/fold", body)
        assert (status, list(answer)) == (400, ["detail"]), body[:60]
    for path, body in (
        ("register", b"{}"),
        ("register", b"["),
        ("beat", b'{"runner_id": "x"}'),
        ("claim/fold", b'{"runner_id": 1, "id": "abc", "attempt": 1}'),
        ("claim/fold", b'{"runner_id": 1, "id": 99999999999999999999999, "attempt": 1}'),
        ("progress/fold", b'{"fold_id": 11}'),
        ("progress/fold", b'{"fold_id": 11, "attempt": 1, "log": "\\ud800"}'),
        ("result/split", b"{}"),
    ):
        status, answer = await runner.post(path, body)
        assert (status, list(answer)) == (400, ["detail"]), (path, body)
    assert await stored(master) == before
    assert (await runner.post("result/fold", good))[0] == 204
    assert (await runner.post("beat", Beat(runner_id=999)))[0] == 404
    assert await runner.post("beat", Beat(runner_id=runner.id)) == (200, {"alarm": 0})
    assert (await runner.claim("fold", 999, 1))[0] == 409
    assert (await runner.claim("split", "nothing", 1))[0] == 409


async def test_hostile_texts_are_kept_as_far_as_they_can_be(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    nasty = "a\0b<script>\u202e"
    changes = {"detail": nasty, "traceback": nasty, "log": nasty}
    assert (await runner.result(job, reason=Reason.USER_ERROR, **changes))[0] == 204
    _, log = await api("GET", "runapp/submissionfold/11/log/")
    kept = nasty.replace("\0", "\ufffd")
    assert (log["log"], log["traceback"], log["detail"]) == (kept, kept, kept)


async def test_files_of_a_split(api: Api, runner: HttpRunner, master: Master) -> None:
    await runner.register()
    await created(api, "runapp/rawdata/", dataset())
    await api("POST", "runapp/rawdata/split/", {"raw_data_id": 1, "held_out_test": 5})
    job = await runner.take_split()
    assert (job.held_out_test, job.random_state) == (5, 42)
    progress = SplitProgress(task_id=job.task_id, attempt=job.attempt)
    assert await runner.post("progress/split", progress) == (200, {"end": False})
    stale = job.model_copy(update={"attempt": job.attempt - 1})
    progress = SplitProgress(task_id=job.task_id, attempt=stale.attempt)
    assert await runner.post("progress/split", progress) == (200, {"end": True})
    before = await stored(master)
    assert (await runner.put_file(stale, "train.csv", b"x"))[0] == 409
    for name in ("..%2Fx", "%2Fetc%2Fpasswd", ".hidden"):
        assert (await runner.put_file(job, name, b"x"))[0] == 400
    never_sent = split_outcome(job, files=(File(name="train.csv", sha256="0" * 64, size=1),))
    status, answer = await runner.post("result/split", never_sent)
    assert status == 400
    assert "have not all arrived" in answer["detail"]
    assert (await runner.post("result/split", split_outcome(stale)))[0] == 409
    assert await stored(master) == before
    await runner.finish_split(job)
    assert (await runner.post("result/split", split_outcome(job)))[0] == 409
    _, shown = await api("GET", "runapp/rawdata/1/")
    assert (shown["split_state"], shown["n_train"]) == ("DONE", 10)
    response = await api.fetch("GET", "runapp/rawdata/1/file/test.csv/")
    lines = CSV.splitlines(keepends=True)
    assert response.body == lines[0] + b"".join(lines[11:])


async def test_runners_are_listed_with_what_they_do(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    await runner.take_fold()
    _, (shown,) = await api("GET", "runapp/runner/")
    assert set(shown) == {
        "id", "name", "host", "slots", "busy", "queues", "sandbox", "versions", "alive",
        "last_beat", "started",
    }  # fmt: skip
    assert (shown["busy"], shown["alive"], shown["queues"]) == (1, True, ["H", "L", "celery"])
    await runner.register()  # the same name: it replaces itself
    assert len((await api("GET", "runapp/runner/"))[1]) == 1
