"""Folds over HTTP: the rows of compat.md and what 1.0 adds."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np

from datarun_ext.protocol import FoldProgress, Phase, Reason
from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.over_http import GOOD_TEST, GOOD_TRAIN, HttpRunner, split_dataset, split_outcome
from tests.handlers.things import CLASSIFIER, created, dataset, floats, fold, indices, packed

WIRE_18 = {
    "databoard_sf_id", "priority", "train_is", "test_is", "task_id", "full_train_predictions",
    "test_predictions", "state", "log_messages", "train_time", "validation_time", "test_time",
    "train_cpu_time", "train_memory", "test_cpu_time", "test_memory", "new", "databoard_s",
}  # fmt: skip
SHAPES = {
    "full_train_predictions_shape", "full_train_predictions_dtype", "test_predictions_shape",
    "test_predictions_dtype",
}  # fmt: skip
LARGE = {"train_is", "test_is", "full_train_predictions", "test_predictions", "log_messages"}
FULL = {
    "raw_data", "owner", "stage", "attempt", "reason", "detail", "runner", "limits", "scores",
    "user_line", "validation_cpu_time", "validation_memory", "created", "dispatched_at",
    "started_at", "ended_at", "lease_until", "position", "eta_s",
}  # fmt: skip
EXISTS = {"databoard_sf_id": ["SubmissionFold with this databoard sf id already exists."]}


async def test_fresh_fold(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    body = fold()
    made = await created(api, "runapp/submissionfold/", body)
    assert set(made) == WIRE_18 | SHAPES
    assert made["databoard_sf_id"] == 11
    assert made["databoard_s"] == 1
    assert made["state"] == "TODO"
    assert made["new"] is True
    assert made["priority"] == "L"
    assert made["train_is"] == body["train_is"]
    assert made["test_is"] == body["test_is"]
    assert made["full_train_predictions"] is None
    assert made["test_predictions"] is None
    assert made["log_messages"] == ""
    for name in WIRE_18:
        if name.endswith(("_time", "_memory")):
            assert made[name] == 0.0
            assert isinstance(made[name], float)
    assert isinstance(made["task_id"], str)
    status, task = await api("GET", f"runapp/task/{made['task_id']}/")
    assert (status, task["kind"], task["databoard_sf_id"]) == (200, "fold", 11)

    assert await api("GET", "runapp/submissionfold/") == (200, [made])
    assert await api("GET", "runapp/submissionfold/11/") == (200, made)
    light = {"databoard_sf_id": 11, "databoard_s": 1, "state": "TODO", "new": True}
    assert await api("GET", "runapp/submissionfold-light/") == (200, [light])
    missing = await api("GET", "runapp/submissionfold/12/")
    assert missing == (404, {"detail": "Not found."})

    _, full = await api("GET", "runapp/submissionfold/11/", params={"view": "full"})
    assert set(full) == WIRE_18 | SHAPES | FULL
    _, summary = await api("GET", "runapp/submissionfold/11/", params={"view": "summary"})
    assert set(summary) == (WIRE_18 | SHAPES | FULL) - LARGE


async def test_submission_of_a_fold(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    extra = b"x = 1\n"
    files = {"classifier.py": packed(CLASSIFIER), "tools.py": packed(extra)}
    await created(api, "runapp/submissionfold/", fold(files=files))
    status, shown = await api("GET", "runapp/submission/1/")
    assert status == 200
    assert (
        shown["hash_files"] == base64.b64encode(hashlib.md5(CLASSIFIER + extra).digest()).decode()
    )
    assert set(shown) == {
        "databoard_s_id", "name", "raw_data", "files", "files_path", "hash_files", "owner", "cv",
        "created", "n_folds", "counts", "reasons", "scores",
    }  # fmt: skip
    assert shown["counts"] == {"TODO": 1}
    response = await api.fetch("GET", "runapp/submission/1/file/tools.py/")
    assert (response.code, response.body) == (200, extra)
    kept = {path.name for path in Path(shown["files_path"]).iterdir()}
    assert kept == {"classifier.py", "tools.py"}


async def test_priority_in_every_spelling(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    spellings = {
        "L": [..., None, "", "l", "L", "low", "Low", "LOW"],
        "H": ["h", "H", "high", "High", "HIGH"],
    }
    for kept, sent in spellings.items():
        for priority in sent:
            made = await created(api, "runapp/submissionfold/", fold(..., priority=priority))
            assert made["priority"] == kept


async def test_force(api: Api, master: Master) -> None:
    await created(api, "runapp/rawdata/", dataset())
    await created(api, "runapp/submissionfold/", fold(11))
    await created(api, "runapp/submissionfold/", fold(12, files=...))
    assert await api("POST", "runapp/submissionfold/", fold(11)) == (400, EXISTS)
    _, first = await api("GET", "runapp/submission/1/")

    # Files of a submission that exists are ignored without force.
    other = {"classifier.py": packed(b"OTHER = 1\n")}
    await created(api, "runapp/submissionfold/", fold(13, files=other))
    assert (await api("GET", "runapp/submission/1/"))[1]["files"] == first["files"]

    body = fold(11, files=other, train_is=indices(0, 1), force="submission_fold")
    assert (await created(api, "runapp/submissionfold/", body))["train_is"] == indices(0, 1)
    after = (await api("GET", "runapp/submission/1/"))[1]
    assert (after["files"], after["n_folds"]) == (first["files"], 3)

    for force in ("submission, submission_fold", "submission,submission_fold", " submission "):
        content = f"F = {force!r}\n".encode()
        files = {"classifier.py": packed(content)}
        await created(api, "runapp/submissionfold/", fold(11, files=files, force=force))
        after = (await api("GET", "runapp/submission/1/"))[1]
        assert after["n_folds"] == 1
        response = await api.fetch("GET", "runapp/submission/1/file/classifier.py/")
        assert response.body == content
    # Of the versions that were replaced nothing is left on disk.
    assert len(list(master.settings.submission_dir.iterdir())) == 1


async def test_a_replaced_fold_that_runs_is_stopped_and_writes_nothing(
    api: Api, runner: HttpRunner
) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    await created(api, "runapp/submissionfold/", fold(force="submission_fold"))
    status, _ = await runner.result(job)
    assert status == 409
    new = await runner.take_fold()
    assert new.attempt > job.attempt
    assert (await runner.result(new))[0] == 204
    assert (await api("GET", "runapp/submissionfold/11/"))[1]["state"] == "TESTED"


async def test_ids_given_by_the_server(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    made = [await created(api, "runapp/submissionfold/", fold(..., ...)) for _ in range(2)]
    assert [(item["databoard_sf_id"], item["databoard_s"]) for item in made] == [(1, 1), (2, 2)]
    await created(api, "runapp/submissionfold/", fold(50, 40))
    made_last = await created(api, "runapp/submissionfold/", fold(None, None))
    assert (made_last["databoard_sf_id"], made_last["databoard_s"]) == (51, 41)


async def test_result_over_the_wire(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold(priority="H"))
    job = await runner.take_fold("H")
    status, answer = await runner.result(job)
    assert status == 204, answer
    _, full = await api("GET", "runapp/submissionfold/11/", params={"view": "full"})
    assert full["state"] == "TESTED"
    assert full["full_train_predictions_shape"] == [10, 3]
    assert full["test_predictions_shape"] == [5, 3]
    assert full["test_predictions_dtype"] == "float64"
    assert np.array_equal(floats(full["full_train_predictions"], (10, 3)), GOOD_TRAIN)
    assert np.array_equal(floats(full["test_predictions"], (5, 3)), GOOD_TEST)
    assert full["scores"] == {"validation_accuracy": 1.0, "test_accuracy": 1.0}
    assert (full["train_time"], full["validation_time"], full["test_time"]) == (1.5, 3.0, 4.5)
    assert (full["train_cpu_time"], full["test_cpu_time"]) == (2.5, 7.5)
    assert (full["train_memory"], full["test_memory"]) == (1000.0, 3000.0)
    assert full["runner"] == "host:1"

    status, got = await api("POST", "runapp/testpredictions/new/", {"raw_data_id": 1})
    assert status == 200
    assert [set(item) for item in got] == [
        (WIRE_18 | SHAPES) - {"priority", "train_is", "test_is", "task_id", "new"}
    ]
    assert got[0]["test_predictions"] == full["test_predictions"]
    assert await api("POST", "runapp/testpredictions/new/", {}) == (200, [])
    assert (await api("GET", "runapp/submissionfold-light/"))[1][0]["new"] is False
    again = await api("POST", "runapp/testpredictions/list/", {"list_submission_fold": [11, 99]})
    assert again == (200, got)


async def test_list_marks_only_what_has_ended(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    for fold_id in (11, 12):
        await created(api, "runapp/submissionfold/", fold(fold_id))
    job = await runner.take_fold()
    await runner.result(job)
    ids = {"list_submission_fold": [11, 12]}
    status, got = await api("POST", "runapp/testpredictions/list/", ids)
    assert [item["state"] for item in got] == ["TESTED", "TODO"]
    _, light = await api("GET", "runapp/submissionfold-light/")
    assert [item["new"] for item in light] == [False, True]
    unknown = await api("POST", "runapp/testpredictions/new/", {"raw_data_id": 99})
    assert unknown == (200, [])
    assert (await api("POST", "runapp/testpredictions/list/", {}))[0] == 400


async def test_cancel_rerun_priority_delete(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    assert (await api("POST", "runapp/submissionfold/11/rerun/"))[0] == 409
    status, full = await api("POST", "runapp/submissionfold/11/cancel/")
    assert (status, full["state"], full["reason"]) == (200, "ERROR", "CANCELLED")
    assert full["log_messages"].endswith("ERROR(train)")
    assert (await api("POST", "runapp/submissionfold/11/cancel/"))[0] == 409
    assert (await runner.result(job))[0] == 409

    status, full = await api("POST", "runapp/submissionfold/11/rerun/")
    assert (status, full["state"], full["reason"], full["new"]) == (200, "TODO", None, True)
    job = await runner.take_fold()
    await runner.result(job, reason=Reason.USER_ERROR, detail="no", traceback="ValueError: no")
    _, full = await api("GET", "runapp/submissionfold/11/")
    assert full["log_messages"] == "ValueError: no\n - ERROR(train)"

    response = await api.fetch("DELETE", "runapp/submissionfold/11/")
    assert response.code == 204
    assert (await api("GET", "runapp/submissionfold/11/"))[0] == 404
    assert (await api("DELETE", "runapp/submissionfold/11/"))[0] == 404


async def test_submission_with_folds_made_by_the_server(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    body = {
        "raw_data": 1,
        "name": "forest",
        "files": {"classifier.py": packed(CLASSIFIER)},
        "cv": {"kind": "stratified", "n_splits": 3, "random_state": 7},
        "priority": "high",
    }
    made = await created(api, "runapp/submission/", body)
    assert (made["n_folds"], made["cv"], made["name"]) == (3, "stratified, 3 folds", "forest")
    assert (await api("POST", "runapp/submission/1/cancel/")) == (200, {"cancelled": 3})
    assert (await api("POST", "runapp/submission/1/rerun/", {"only": "failed"})) == (
        200,
        {"rerun": 3},
    )
    job = await runner.take_fold("H")
    await runner.result(job)
    _, shown = await api("GET", "runapp/submission/1/")
    assert shown["counts"] == {"TODO": 2, "TESTED": 1}
    assert shown["scores"]["test_accuracy"] == {"mean": 1.0, "std": 0.0}
    status, moved = await api("POST", "runapp/submission/1/priority/", {"priority": "L"})
    assert status == 200
    again = await api("POST", "runapp/submission/", {**body, "databoard_s_id": 1})
    assert again == (
        400,
        {"databoard_s_id": ["Submission with this databoard s id already exists."]},
    )
    assert (await api.fetch("DELETE", "runapp/submission/1/")).code == 204
    assert await api("GET", "runapp/submissionfold/") == (200, [])


async def test_folds_wait_for_the_split_and_share_its_failure(api: Api, runner: HttpRunner) -> None:
    await runner.register()
    await created(api, "runapp/rawdata/", dataset())
    await created(api, "runapp/submissionfold/", fold(11))
    await created(api, "runapp/submissionfold/", fold(12, test_is=indices(7, 10)))
    _, waiting = await api("GET", "runapp/submissionfold/11/", params={"view": "full"})
    assert (waiting["state"], waiting["stage"]) == ("TODO", "WAITING")
    await api("POST", "runapp/rawdata/split/", {"raw_data_id": 1, "held_out_test": 5})
    await runner.finish_split(await runner.take_split())
    assert (await runner.take_fold()).fold_id == 11
    _, refused = await api("GET", "runapp/submissionfold/12/", params={"view": "full"})
    assert (refused["state"], refused["reason"]) == ("ERROR", "DATA_ERROR")
    assert "Index 10 is out of range" in refused["detail"]

    await created(api, "runapp/rawdata/", dataset("second"))
    await created(api, "runapp/submissionfold/", fold(21, 2, raw_data=2))
    await api("POST", "runapp/rawdata/split/", {"raw_data_id": 2, "held_out_test": 5})
    job = await runner.take_split()
    outcome = split_outcome(job, reason=Reason.DATA_ERROR, detail="Row 3 has 4 fields.", log="")
    assert (await runner.post("result/split", outcome))[0] == 204
    for fold_id in (21, 22):  # the one that waited, and one that comes later
        if fold_id == 22:
            await created(api, "runapp/submissionfold/", fold(22, 2, raw_data=2))
        _, failed = await api("GET", f"runapp/submissionfold/{fold_id}/")
        assert failed["state"] == "ERROR"
        assert "Row 3 has 4 fields." in failed["log_messages"]
        assert failed["log_messages"].endswith("ERROR(split data)")
    _, task = await api("GET", f"runapp/task/{job.task_id}/")
    assert (task["state"], task["message"]) == ("FAILURE", "Row 3 has 4 fields.")


async def test_lists_of_folds_in_parts_and_by_filter(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    await created(api, "runapp/rawdata/", dataset("other"))
    for number in range(1, 6):
        await created(api, "runapp/submissionfold/", fold(number, number % 2 + 1))
    await created(api, "runapp/submissionfold/", fold(6, 3, raw_data=2))
    await api("POST", "runapp/submissionfold/3/cancel/")

    async def ids(**params: object) -> list[int]:
        status, found = await api("GET", "runapp/submissionfold-light/", params=params)
        assert status == 200, found
        return [item["databoard_sf_id"] for item in found]

    assert await ids() == [1, 2, 3, 4, 5, 6]
    assert await ids(raw_data=2) == [6]
    assert await ids(submission=2) == [1, 3, 5]
    assert await ids(state="ERROR") == [3]
    assert await ids(state="TODO", submission=2) == [1, 5]
    assert await ids(limit=2, order="-id") == [6, 5]
    assert await ids(limit=2, order="-id", cursor=5) == [4, 3]
    assert await ids(limit=10, cursor=4) == [5, 6]
    response = await api.fetch("GET", "runapp/submissionfold/", params={"limit": 4, "view": "full"})
    assert response.headers["X-Next-Cursor"] == "4"
    assert all(set(item) == WIRE_18 | SHAPES | FULL for item in json.loads(response.body))


async def test_submissions_are_found_by_words_and_owner(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    await created(api, "runapp/rawdata/", dataset("Wine_10%"))
    folds = [{"train_is": indices(0, 1, 2), "test_is": indices(3, 4)}]
    for number, (name, raw_data) in enumerate(
        (("Forest 1", 1), ("forest 2", 2), ("ridge", 2)), start=1
    ):
        body = {
            "databoard_s_id": number,
            "raw_data": raw_data,
            "name": name,
            "files": {"classifier.py": packed(CLASSIFIER)},
            "folds": folds,
        }
        await created(api, "runapp/submission/", body)

    async def ids(**params: object) -> list[int]:
        status, found = await api("GET", "runapp/submission/", params=params)
        assert status == 200, found
        return [item["databoard_s_id"] for item in found]

    assert await ids(text="FOREST") == [1, 2]
    assert await ids(text=" forest  wine ") == [2]
    assert await ids(text="0%") == [2, 3]
    assert await ids(text="%") == [2, 3]
    assert await ids(text="#3") == [3]
    assert await ids(text="_1") == [2, 3]
    assert await ids(text="forest", order="-id", limit=1) == [2]
    assert await ids(text="forest", order="-id", limit=1, cursor=2) == [1]
    (mine,) = {item["owner"] for item in (await api("GET", "runapp/submission/"))[1]}
    assert await ids(owner=mine, text="ridge") == [3]
    assert await ids(owner="nobody") == []
    status, answer = await api("GET", "runapp/submission/", params={"text": "x" * 201})
    assert status == 400
    assert "text" in answer


async def test_log_grows_while_a_fold_runs(api: Api, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    for text, done in (("one\n", ()), ("two\0\n", (Phase.TRAIN,))):
        progress = FoldProgress(fold_id=11, attempt=job.attempt, log=text, done=done)
        assert await runner.post("progress/fold", progress) == (200, {"end": False})
    status, log = await api("GET", "runapp/submissionfold/11/log/")
    assert status == 200
    assert (log["state"], log["log"], log["next"]) == ("TRAINED", "one\ntwo\ufffd\n", 9)
    assert (await api("GET", "runapp/submissionfold/11/log/", params={"since": 4}))[1]["log"] == (
        "two\ufffd\n"
    )
    assert set(log) == {
        "databoard_sf_id", "state", "reason", "detail", "log", "next", "log_messages", "traceback",
        "user_line",
    }  # fmt: skip


async def test_rows_may_stand_twice_and_in_both_parts(api: Api, runner: HttpRunner) -> None:
    """A bootstrap draws them so, and clients of datarun 0.4 validate on rows that they train on."""
    await split_dataset(api, runner)
    await created(api, "runapp/submissionfold/", fold(11, train_is=indices(1, 1, 2)))
    await created(api, "runapp/submissionfold/", fold(12, 2, test_is=indices(0, 1, 1)))
    await created(api, "runapp/submissionfold/", fold(13, 3, test_is=indices()))
