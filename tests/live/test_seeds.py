"""A client that knows only the documentation of datarun 0.4: its curl and requests lines."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from sklearn.model_selection import ShuffleSplit

from datarun_ext import post_api
from tests.live.conftest import LiveServer
from tests.live.samples import TREE, floats, indices, iris_csv, pack, packed

AUTH = ("ramp", "pass word")
FOLD_FIELDS = {
    "databoard_sf_id", "priority", "train_is", "test_is", "task_id", "full_train_predictions",
    "test_predictions", "state", "log_messages", "train_time", "validation_time", "test_time",
    "train_cpu_time", "train_memory", "test_cpu_time", "test_memory", "new", "databoard_s",
}  # fmt: skip
PREDICTION_FIELDS = {
    "databoard_sf_id", "databoard_s", "test_predictions", "full_train_predictions", "state",
    "log_messages", "train_time", "validation_time", "test_time", "train_cpu_time",
    "test_cpu_time", "train_memory", "test_memory",
}  # fmt: skip
FOLD, SUBMISSION = 201610, 201624
"""Ids of the client's own choice, which no test that lets the server choose runs into."""


def until_ended(live: LiveServer, fold_id: int, timeout: float = 90) -> dict[str, Any]:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        fold = requests.get(
            f"{live.url}runapp/submissionfold/{fold_id}/", auth=AUTH, timeout=30
        ).json()
        if fold["state"] in ("TESTED", "ERROR"):
            return dict(fold)
        time.sleep(0.05)
    raise AssertionError(f"fold {fold_id} has not ended: {live.log()}")


def test_requests_lines(live: LiveServer) -> None:
    url = live.url
    new = {
        "name": "iris of 2016", "target_column": "species", "workflow_elements": "classifier",
        "files": {"iris.csv": pack(iris_csv())},
    }  # fmt: skip
    answer = requests.post(f"{url}runapp/rawdata/", auth=AUTH, json=new, timeout=30)
    assert answer.status_code == 201, answer.text
    dataset = answer.json()
    assert set(dataset) == {"id", "name", "files_path", "workflow_elements", "target_column"}
    assert dataset in requests.get(f"{url}runapp/rawdata/", auth=AUTH, timeout=30).json()

    # The two spellings of the path stand in the original's own examples.
    split = {"random_state": 42, "held_out_test": 0.7, "raw_data_id": dataset["id"]}
    answer = requests.post(f"{url}runapp/raw_data/split/", auth=AUTH, json=split, timeout=30)
    assert answer.status_code == 200
    assert set(answer.json()) == {"task_id"}

    fold = {
        "databoard_sf_id": FOLD, "databoard_s_id": SUBMISSION, "raw_data": dataset["id"],
        "train_is": indices(range(0, 30)), "test_is": indices(range(30, 45)), "priority": "L",
        "files": {"classifier.py": packed(TREE)},
    }  # fmt: skip
    answer = requests.post(f"{url}runapp/submissionfold/", auth=AUTH, json=fold, timeout=30)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) >= FOLD_FIELDS
    assert answer.json()["state"] == "TODO"
    assert answer.json()["task_id"]

    ended = until_ended(live, FOLD)
    assert ended["state"] == "TESTED", ended["log_messages"]
    train, test = (Path(dataset["files_path"], name) for name in ("train.csv", "test.csv"))
    assert sum(1 for _ in train.open()) == 46
    assert sum(1 for _ in test.open()) == 106
    assert floats(ended["full_train_predictions"]).size == 45 * 3
    assert floats(ended["test_predictions"]).size == 105 * 3
    assert ended["train_time"] > 0
    assert ended["train_memory"] >= 0

    light = requests.get(f"{url}runapp/submissionfold-light/", auth=AUTH, timeout=30).json()
    assert {
        "databoard_sf_id": FOLD,
        "databoard_s": SUBMISSION,
        "state": "TESTED",
        "new": True,
    } in light

    body = {"list_submission_fold": [FOLD, 987654]}
    listed = requests.post(
        f"{url}runapp/testpredictions/list/", auth=AUTH, json=body, timeout=30
    ).json()
    assert [item["databoard_sf_id"] for item in listed] == [FOLD]
    assert set(listed[0]) >= PREDICTION_FIELDS
    body = {"raw_data_id": dataset["id"]}
    new_ones = requests.post(
        f"{url}runapp/testpredictions/new/", auth=AUTH, json=body, timeout=30
    ).json()
    assert new_ones == []

    fold["force"] = "submission_fold"
    assert (
        requests.post(f"{url}runapp/submissionfold/", auth=AUTH, json=fold, timeout=30).status_code
        == 201
    )
    assert until_ended(live, FOLD)["state"] == "TESTED"
    new_ones = requests.post(
        f"{url}runapp/testpredictions/new/", auth=AUTH, json=body, timeout=30
    ).json()
    assert [item["databoard_sf_id"] for item in new_ones] == [FOLD]


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("rawdata/split/", {"random_state": 42, "held_out_test": 0.7, "raw_data_id": 9999}, 404),
        ("rawdata/customsplit/", {"raw_data_id": 9999}, 404),
        ("testpredictions/list/", {"list_submission_fold": [1, 2, 10]}, 200),
        ("testpredictions/new/", {"raw_data_id": 9999}, 200),
        ("submissionfold/", {"databoard_s_id": 1}, 400),
    ],
)
def test_curl_lines(live: LiveServer, path: str, data: dict[str, Any], status: int) -> None:
    command = [
        "curl", "-s", "-w", "\n%{http_code}", "-u", ":".join(AUTH), "-H",
        "Content-Type: application/json", "-X", "POST", "-d", json.dumps(data),
        f"{live.url}runapp/{path}",
    ]  # fmt: skip
    text, _, code = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.rpartition("\n")
    assert int(code) == status
    json.loads(text)


def test_post_api(live: LiveServer, tmp_path: Path) -> None:
    """The nine functions, with arrays and file names as databoard calls them."""
    csv, code = tmp_path / "flowers.csv", tmp_path / "classifier.py"
    csv.write_bytes(iris_csv())
    code.write_text(TREE)
    login = (live.url, *AUTH)
    answer = post_api.post_data(*login, "flowers", "species", "classifier", str(csv))
    raw_data_id = answer.json()["id"]
    assert post_api.get_raw_data(*login).json()[-1]["name"] == "flowers"
    assert post_api.post_split(*login, 0.5, raw_data_id).json()["task_id"]
    refused = post_api.custom_post_split(*login, raw_data_id)
    assert refused.status_code == 400
    assert "raw_data_id" in refused.json()
    splits = ShuffleSplit(n_splits=2, random_state=0).split(np.zeros(75))
    for k, (train_is, test_is) in enumerate(splits):
        answer = post_api.post_submission_fold(
            *login, 3001, 3001 + k, train_is, test_is, priority="H",
            raw_data_id=raw_data_id if k == 0 else None,
            list_submission_files=[str(code)] if k == 0 else None,
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        assert answer.json()["priority"] == "H"
    for k in range(2):
        assert until_ended(live, 3001 + k)["state"] == "TESTED"
    assert post_api.get_submission_fold_detail(*login, 3001).json()["databoard_s"] == 3001
    ids = {item["databoard_sf_id"] for item in post_api.get_submission_fold(*login).json()}
    assert {3001, 3002} <= ids
    light = post_api.get_submission_fold_light(*login).json()
    assert {3001, 3002} <= {item["databoard_sf_id"] for item in light}
    assert len(post_api.get_prediction_list(*login, [3001]).json()) == 1
    new = post_api.get_prediction_new(*login, raw_data_id).json()
    assert [item["databoard_sf_id"] for item in new] == [3002]
