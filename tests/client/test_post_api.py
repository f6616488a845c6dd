"""The functions of datarun 0.4, with its signatures, against a real server."""

from __future__ import annotations

import base64
import inspect
import time
import zlib
from pathlib import Path

import numpy as np
import requests

from datarun_ext import post_api
from datarun_ext.cli.demo_models import FOREST, iris_frame
from tests.client.conftest import Live

SIGNATURES = {
    "custom_post_split": "(host_url, username, password, raw_data_id)",
    "get_prediction_list": "(host_url, username, password, list_submission_fold_id)",
    "get_prediction_new": "(host_url, username, password, raw_data_id)",
    "get_raw_data": "(host_url, username, password)",
    "get_submission_fold": "(host_url, username, password)",
    "get_submission_fold_detail": "(host_url, username, password, submission_fold_id)",
    "get_submission_fold_light": "(host_url, username, password)",
    "post_data": "(host_url, username, password, data_name, target_column, workflow_elements, "
    "data_file, extra_files=None)",
    "post_split": "(host_url, username, password, held_out_test, raw_data_id, random_state=42)",
    "post_submission_fold": "(host_url, username, password, sub_id, sub_fold_id, train_is, "
    "test_is, priority='L', raw_data_id=None, list_submission_files=None, force=None)",
}

SPECIFIC = """\
import pandas as pd


def prepare_data(raw_data_path):
    frame = pd.read_csv(raw_data_path + "/values.csv")
    frame[:20].to_csv(raw_data_path + "/train.csv", index=False)
    frame[20:].to_csv(raw_data_path + "/test.csv", index=False)
"""


def test_signatures_are_those_of_datarun_0_4() -> None:
    assert set(post_api.__all__) == set(SIGNATURES)
    for name, expected in SIGNATURES.items():
        signature = inspect.signature(getattr(post_api, name))
        bare = signature.replace(
            parameters=[
                one.replace(annotation=inspect.Parameter.empty)
                for one in signature.parameters.values()
            ],
            return_annotation=inspect.Signature.empty,
        )
        assert str(bare) == expected


def test_the_workflow_of_datarun_0_4(live: Live, tmp_path: Path) -> None:
    who = (live.url, live.user, live.password)
    data = tmp_path / "iris.csv"
    iris_frame().to_csv(data, index=False)
    model = tmp_path / "classifier.py"
    model.write_text(FOREST)

    answer = post_api.post_data(*who, "iris 0.4", "species", "classifier", str(data))
    assert isinstance(answer, requests.Response)
    assert answer.status_code == 201
    raw_data_id = answer.json()["id"]
    again = post_api.post_data(*who, "iris 0.4", "species", "classifier", str(data))
    assert again.json() == {"name": ["RawData with this name already exists."]}
    assert raw_data_id in [one["id"] for one in post_api.get_raw_data(*who).json()]
    assert post_api.post_split(*who, 0.5, raw_data_id).json()["task_id"]

    train, test = np.arange(60), np.arange(60, 75)
    for fold_id, files in ((8001, [str(model)]), (8002, None)):
        answer = post_api.post_submission_fold(
            *who, 8000, fold_id, train, test, "H", raw_data_id, files
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["priority"] == "H"
        assert answer.json()["train_is"]
    end = time.monotonic() + 120
    while True:
        light = {
            one["databoard_sf_id"]: one for one in post_api.get_submission_fold_light(*who).json()
        }
        if light[8001]["state"] == light[8002]["state"] == "TESTED":
            break
        assert time.monotonic() < end, light
        time.sleep(0.2)
    assert light[8001].keys() == {"databoard_sf_id", "databoard_s", "state", "new"}
    detail = post_api.get_submission_fold_detail(*who, 8001).json()
    assert detail in post_api.get_submission_fold(*who).json()

    first = post_api.get_prediction_list(*who, [8001, 999999]).json()
    assert [one["databoard_sf_id"] for one in first] == [8001]
    raw = zlib.decompress(base64.b64decode(first[0]["test_predictions"]))
    assert np.frombuffer(raw, "<f8").reshape(75, 3).sum(axis=1).round(6).tolist() == [1.0] * 75
    new = post_api.get_prediction_new(*who, raw_data_id).json()
    assert [one["databoard_sf_id"] for one in new] == [8002]
    assert post_api.get_prediction_new(*who, raw_data_id).json() == []

    forced = post_api.post_submission_fold(*who, 8000, 8002, train, test, force="submission_fold")
    assert forced.status_code == 201
    assert forced.json()["state"] == "TODO"


def test_extra_files_make_a_custom_dataset(live: Live, tmp_path: Path) -> None:
    who = (live.url, live.user, live.password)
    (tmp_path / "values.csv").write_text("x,y\n" + "1,2\n" * 30)
    (tmp_path / "specific.py").write_text(SPECIFIC)
    answer = post_api.post_data(
        *who,
        "custom 0.4",
        "y",
        "classifier",
        tmp_path / "values.csv",
        [tmp_path / "specific.py"],
    )
    assert answer.status_code == 201, answer.text
    dataset = live.client.datasets.get(answer.json()["id"])
    assert dataset.kind == "custom"
    assert post_api.custom_post_split(*who, dataset.id).json()["task_id"]


def test_a_wrong_password_is_an_answer(live: Live) -> None:
    answer = post_api.get_raw_data(live.url, live.user, "no")
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Invalid username/password."}
