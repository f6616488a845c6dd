"""A submission that fails on a few rows is refused by the request that sends it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from datarun_ext.client import Client, Dataset, PreflightFailed
from tests.live.conftest import LiveServer
from tests.live.samples import BROKEN, TREE, diabetes_csv, iris_csv

N_TRAIN, N_TEST = 120, 30
TRAIN, TEST = np.arange(90), np.arange(90, N_TRAIN)
IMPORT = "import numpy\nfrom numpy import no_such_name\n"
SHAPE = """
class Classifier:
    def fit(self, X, y):
        print("rows", len(X), "classes", len(set(y)))

    def predict_proba(self, X):
        return [0.5] * len(X)
"""
SHORT = SHAPE.replace("[0.5] * len(X)", "[[0.5, 0.5]] * (len(X) - 1)")
ENDLESS = """
class Classifier:
    def fit(self, X, y):
        while True:
            pass

    def predict_proba(self, X):
        return X
"""
COUNTS = """
from sklearn.dummy import DummyClassifier


class Classifier(DummyClassifier):
    def fit(self, X, y):
        assert len(X) <= 50, "more than 50 rows to train on"
        assert len(set(y)) == 3, "a class is missing"
        return super().fit(X, y)

    def predict_proba(self, X):
        assert len(X) <= 50, f"{len(X)} rows to predict"
        return super().predict_proba(X)
"""
SERIES = """
import csv


def prepare_data(path):
    pass


def get_train_data(path):
    return [[float(i), 1.0] for i in range(80)], [i % 2 for i in range(80)]


def get_test_data(path):
    return [[float(i), 1.0] for i in range(20)], [i % 2 for i in range(20)]


def train_submission(module_path, X, y, train_is):
    import importlib

    module = importlib.import_module(".classifier", module_path)
    model = module.Classifier()
    model.fit([X[i] for i in train_is], [y[i] for i in train_is])
    return model


def test_submission(model, X, test_is):
    return model.predict_proba([X[i] for i in test_is])
"""


@dataclass(frozen=True)
class Bench:
    """A client, and a dataset that is split."""

    client: Client
    dataset: Dataset

    def left(self) -> int:
        """How many submissions of the dataset the server has."""
        return len(self.client.submissions.list(dataset=self.dataset))


@pytest.fixture(scope="module")
def bench(live: LiveServer) -> Bench:
    client = live.client()
    dataset = client.datasets.create(
        "preflight", iris_csv(), target_column="species", workflow_elements="classifier"
    )
    client.tasks.wait(client.datasets.split(dataset, N_TEST), timeout=120)
    return Bench(client, client.datasets.get(dataset))


def refused(bench: Bench, source: str, n_train: int = N_TRAIN) -> PreflightFailed:
    before = bench.left()
    train, test = np.arange(n_train - 20), np.arange(n_train - 20, n_train)
    files = {"classifier.py": source}
    with pytest.raises(PreflightFailed) as caught:
        bench.client.folds.create(train, test, dataset=bench.dataset, files=files, preflight=True)
    assert bench.left() == before
    return caught.value


def test_a_broken_import_is_refused_with_its_line(bench: Bench) -> None:
    error = refused(bench, IMPORT)
    assert error.status == 400
    assert (error.file, error.line) == ("classifier.py", 2)
    assert "no_such_name" in error.cause
    assert "from numpy import no_such_name" in str(error)
    assert "ImportError" in error.traceback


def test_a_failing_fit_is_refused_with_its_line(bench: Bench) -> None:
    error = refused(bench, BROKEN)
    assert error.reason == "USER_ERROR"
    assert error.text.strip() == "return self.undefined_thing"
    assert f"classifier.py, line {error.line}" in str(error)


def test_a_wrong_shape_is_refused(bench: Bench) -> None:
    error = refused(bench, SHAPE)
    assert error.reason == "BAD_OUTPUT"
    assert "one column per class" in error.cause
    assert error.log == "rows 50 classes 3\n"
    assert "49 instead of 50" in refused(bench, SHORT).cause


def test_an_endless_loop_is_refused_in_time(bench: Bench) -> None:
    begin = time.monotonic()
    error = refused(bench, ENDLESS)
    assert error.reason in ("SOFT_TIMEOUT", "HARD_TIMEOUT")
    assert "without preflight" in str(error)
    # 8 s is the hard limit; the answer waits 20 s at most, and would then be another.
    assert time.monotonic() - begin < 20


def test_a_good_one_goes_on_as_without(bench: Bench) -> None:
    files = {"classifier.py": TREE}
    made = bench.client.submissions.create(bench.dataset, files, cv=2, preflight=True)
    bench.client.wait(made, timeout=120)
    assert bench.client.submissions.get(made).counts["TESTED"] == 2


def test_only_a_few_rows_are_seen(bench: Bench) -> None:
    fold = bench.client.folds.create(
        TRAIN, TEST, dataset=bench.dataset, files={"classifier.py": COUNTS}, preflight=True
    )
    (fold,) = bench.client.wait([fold], timeout=120)
    assert "more than 50 rows to train on" in bench.client.folds.log(fold).detail


def test_a_submission_that_the_server_has_is_tried_too(bench: Bench) -> None:
    fold = bench.client.folds.create(
        TRAIN, TEST, dataset=bench.dataset, files={"classifier.py": BROKEN}
    )
    assert fold.submission is not None
    with pytest.raises(PreflightFailed, match="undefined_thing"):
        bench.client.folds.create(TRAIN, TEST, submission=fold.submission, preflight=True)


def test_custom_data_are_tried_on_a_few_rows(live: LiveServer) -> None:
    client = live.client()
    dataset = client.datasets.create(
        "preflight-custom",
        {"specific.py": SERIES.encode(), "data.csv": b"a,b\n1,2\n"},
        target_column="b",
        workflow_elements="classifier",
    )
    client.tasks.wait(client.datasets.custom_split(dataset), timeout=120)
    bench = Bench(client, client.datasets.get(dataset))
    assert "49 instead of 50" in refused(bench, SHORT, n_train=80).cause
    files = {"classifier.py": TREE}
    train, test = np.arange(60), np.arange(60, 80)
    client.folds.create(train, test, dataset=dataset, files=files, preflight=True)


def test_numbers_are_tried_too(live: LiveServer) -> None:
    client = live.client()
    dataset = client.datasets.create(
        "preflight-numbers", diabetes_csv(), target_column="target", workflow_elements="regressor"
    )
    client.tasks.wait(client.datasets.split(dataset, 0.2), timeout=120)
    source = "from sklearn.linear_model import LinearRegression as Regressor\n"
    client.submissions.create(dataset, {"regressor.py": source}, cv=2, preflight=True)
