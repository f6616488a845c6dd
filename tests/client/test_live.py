"""The client against a real server with a real runner."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from datarun_ext.cli.demo_models import FOREST, iris_frame
from datarun_ext.client import (
    Client,
    Conflict,
    DatarunHTTPError,
    Dataset,
    Event,
    Fold,
    NotFound,
    Refused,
    ServerFile,
    State,
    TaskFailed,
)
from datarun_ext.client.datasets import INLINE
from tests.client.conftest import Live

FOREST_FILES = {"classifier.py": FOREST}

FAILING = """\
class Classifier:
    def fit(self, X, y):
        print("about to fail")
        raise ValueError("no model today")

    def predict_proba(self, X):
        return X
"""

SLOW = """\
import time
import numpy as np


class Classifier:
    def fit(self, X, y):
        print("begin", flush=True)
        time.sleep(60)

    def predict_proba(self, X):
        return np.zeros((len(X), 3))
"""


def test_the_main_job(live: Live, iris: Dataset) -> None:
    assert (iris.n_train, iris.n_test, iris.split_state) == (120, 30, "DONE")
    assert iris.classes == ("setosa", "versicolor", "virginica")
    seen: list[tuple[int, State]] = []
    submission = live.client.submissions.create(iris, FOREST_FILES, cv=3, name="forest")
    folds = live.client.wait(
        submission, timeout=120, on_change=lambda fold: seen.append((fold.id, fold.state))
    )
    assert [fold.state for fold in folds] == [State.TESTED] * 3
    for fold in folds:
        assert (fold.id, State.TESTED) in seen
        assert fold.train_time > 0
        assert fold.memory > 0
        assert 0.7 < (fold.scores["test_accuracy"] or 0) <= 1
        predictions = live.client.folds.predictions(fold)
        assert predictions.full_train is not None
        assert predictions.test is not None
        assert predictions.full_train.shape == (120, 3)
        assert predictions.test.shape == (30, 3)
        assert np.allclose(predictions.test.sum(axis=1), 1)
    now = live.client.submissions.get(submission)
    assert now.counts.get("TESTED") == 3
    assert now.name == "forest"
    assert now.scores["test_accuracy"].mean == pytest.approx(
        np.mean([fold.scores["test_accuracy"] for fold in folds])  # type: ignore[arg-type]
    )


def test_a_failure_says_where(live: Live, iris: Dataset) -> None:
    submission = live.client.submissions.create(
        iris, {"classifier.py": FAILING}, cv=[(range(100), range(100, 120))]
    )
    (fold,) = live.client.wait(submission, timeout=120)
    assert (fold.state, fold.reason) == (State.ERROR, "USER_ERROR")
    assert "no model today" in fold.detail
    assert fold.user_line is not None
    assert (fold.user_line.file, fold.user_line.line) == ("classifier.py", 4)
    log = live.client.folds.log(fold)
    assert "about to fail" in log.log
    assert "ValueError" in log.traceback
    assert "ERROR(train)" in log.log_messages
    rest = live.client.folds.log(fold, since=log.next)
    assert rest.log == ""


def test_cancel_and_rerun(live: Live, iris: Dataset) -> None:
    fold = live.client.folds.create(
        np.arange(60), np.arange(60, 80), dataset=iris, files={"classifier.py": SLOW}, priority="H"
    )
    with live.client.events() as stream:
        end = time.monotonic() + 60
        while live.client.folds.get(fold).stage != "RUNNING":
            assert stream.next(60) is not None
            assert time.monotonic() < end
    with pytest.raises(Conflict):
        live.client.folds.rerun(fold)
    cancelled = live.client.folds.cancel(fold)
    assert (cancelled.state, cancelled.reason) == (State.ERROR, "CANCELLED")
    with pytest.raises(Conflict):
        live.client.folds.cancel(fold)
    again = live.client.folds.rerun(fold)
    assert again.state is State.TODO
    assert live.client.submissions.cancel(again.submission or 0) == 1
    (ended,) = live.client.wait(fold, timeout=60)
    assert ended.reason == "CANCELLED"


def test_a_wait_is_ended_by_an_event_of_another_thread(live: Live, iris: Dataset) -> None:
    fold = live.client.folds.create(
        np.arange(60), np.arange(60, 80), dataset=iris, files={"classifier.py": SLOW}
    )
    ended: list[list[Fold]] = []
    thread = threading.Thread(target=lambda: ended.append(live.client.wait(fold, timeout=100)))
    thread.start()
    time.sleep(1)
    live.client.folds.cancel(fold)
    thread.join(100)
    assert [one.reason for one in ended[0]] == ["CANCELLED"]


def test_ids_of_ones_own_and_force(live: Live, iris: Dataset) -> None:
    def send(**more: str) -> Fold:
        return live.client.folds.create(
            np.arange(90),
            np.arange(90, 120),
            submission=7001,
            dataset=iris,
            files=FOREST_FILES,
            fold_id=7002,
            **more,
        )

    assert (send().id, send(force="submission_fold").submission) == (7002, 7001)
    with pytest.raises(DatarunHTTPError, match="already exists") as caught:
        send()
    assert caught.value.fields.keys() == {"databoard_sf_id"}
    live.client.wait(7002, timeout=120)
    indices = live.client.folds.indices(7002)
    assert indices.train.tolist() == list(range(90))
    live.client.folds.delete(7002)
    with pytest.raises(NotFound):
        live.client.folds.get(7002)


def test_big_small_and_server_files(live: Live, tmp_path: Path) -> None:
    frame = iris_frame()
    big = tmp_path / "big.csv"
    rows = frame.to_csv(index=False).split("\n", 1)
    big.write_text(rows[0] + "\n" + rows[1] * (INLINE // len(rows[1]) + 2))
    assert big.stat().st_size > INLINE
    steps: list[tuple[int, int]] = []
    created = live.client.datasets.create(
        "big",
        big,
        target_column="species",
        workflow_elements=["feature_extractor", "classifier"],
        progress=lambda *step: steps.append(step),
    )
    assert steps[-1] == (big.stat().st_size, big.stat().st_size)
    assert created.workflow_elements == "feature_extractor, classifier"
    copy = live.client.datasets.download(created, "big.csv", tmp_path / "copy.csv")
    assert copy.read_bytes() == big.read_bytes()
    preview = live.client.datasets.preview(created, rows=3)
    assert len(preview.rows) == 3
    assert [column.name for column in preview.columns] == list(frame.columns)
    (live.server.folder / "on server.csv").write_text(frame.to_csv(index=False))
    there = live.client.datasets.create(
        "there",
        ServerFile("on server.csv"),
        target_column="species",
        workflow_elements="classifier",
    )
    assert there.files[0].size == len(frame.to_csv(index=False))
    for dataset in (created, there):
        live.client.datasets.delete(dataset)
    with pytest.raises(LookupError, match="iris"):
        live.client.datasets.get("there")


def test_a_bad_split_is_said(live: Live) -> None:
    dataset = live.client.datasets.create(
        "no target", {"x.csv": "a,b\n1,2\n3,4\n"}, target_column="c", workflow_elements="classifier"
    )
    with pytest.raises(TaskFailed, match="c"):
        live.client.tasks.wait(live.client.datasets.split(dataset, 0.5), timeout=120)
    assert live.client.datasets.get(dataset).split_state == "ERROR"
    live.client.datasets.delete(dataset)


def test_events_name_what_happens(live: Live) -> None:
    with live.client.events() as stream:
        first = stream.next(30)
        dataset = live.client.datasets.create(
            "eventful", {"x.csv": "a,b\n1,2\n"}, target_column="b", workflow_elements="classifier"
        )
        live.client.datasets.delete(dataset)
        kinds: list[Event] = []
        while not (kinds and kinds[-1].deleted):
            message = stream.next(30)
            assert message is not None
            if isinstance(message, Event) and message.kind == "rawdata":
                kinds.append(message)
        seq = stream.seq
    assert first is not None
    assert {event.ref for event in kinds} == {str(dataset.id)}
    with live.client.events(since=kinds[0].seq - 1) as stream:
        again = stream.next(30)
        assert isinstance(again, Event)
        assert again.seq == kinds[0].seq
        assert seq is not None


def test_a_user_with_a_password(live: Live) -> None:
    with Client(live.url, username=live.user, password=live.password) as client:
        assert (client.me().name, client.me().is_superuser) == (live.user, True)
        with client.events() as stream:
            assert stream.next(30) is not None
    for wrong in ({"username": live.user, "password": "no"}, {"token": "no"}, {}):
        with Client(live.url, **wrong) as client:
            with pytest.raises(Refused):
                client.me()
            with client.events() as stream, pytest.raises(Refused):
                stream.next(30)


def test_runners_and_health(live: Live) -> None:
    (runner,) = [one for one in live.client.runners() if one.alive]
    health = live.client.health()
    assert health.slots == runner.slots == 2
    assert health.status == "ok"
    assert runner.sandbox in ("full", "landlock", "limits")


def test_a_kernel_needs_no_address(live: Live) -> None:
    (info,) = (live.server.folder / "jupyter-run").glob("jpserver-*.json")
    pid = info.stem.partition("-")[2]
    code = "from datarun_ext.client import Client; c = Client(); print(c.url, c.me().name)"
    environ = {**os.environ, "JUPYTER_RUNTIME_DIR": str(info.parent)}
    environ.pop("DATARUN_URL", None)
    for variables in ({"JPY_PARENT_PID": pid}, {}):
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env={**environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert answer.stderr == ""
        assert answer.stdout.split()[0] == live.url
