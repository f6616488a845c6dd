"""What runs on a runner gives the floats that the same code gives without one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV  # noqa: F401  (must exist where we run)
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from datarun_ext.client import Client, Dataset, Fold
from tests.live.conftest import LiveServer
from tests.live.samples import BROKEN, diabetes_csv, iris_csv

CLASSIFIER = """
from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.model = RandomForestClassifier(n_estimators=5, random_state=3)

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""
EXTRACTOR = """
class FeatureExtractor:
    def fit(self, X_df, y):
        self.means = X_df.mean()

    def transform(self, X_df):
        return (X_df - self.means).to_numpy()
"""
CALIBRATOR = """
from sklearn.linear_model import LogisticRegression


class Calibrator:
    def fit(self, probas, y):
        self.model = LogisticRegression().fit(probas, y)

    def predict_proba(self, probas):
        return self.model.predict_proba(probas)
"""
REGRESSOR = """
from sklearn.linear_model import Ridge


class Regressor:
    def __init__(self):
        self.model = Ridge(alpha=0.5)

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict(self, X):
        return self.model.predict(X)
"""
ESTIMATOR = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def get_estimator():
    return make_pipeline(StandardScaler(), LogisticRegression())
"""
SPECIFIC = '''
"""Series of different lengths, each with a label."""
import json
import os

import numpy as np
from sklearn.ensemble import RandomForestClassifier


def prepare_data(raw_data_path):
    with open(os.path.join(raw_data_path, "curves.json")) as stream:
        rows = json.load(stream)
    for name, part in (("train", rows[:60]), ("test", rows[60:])):
        with open(os.path.join(raw_data_path, name + "_curves.json"), "w") as stream:
            json.dump(part, stream)


def _read(raw_data_path, name):
    with open(os.path.join(raw_data_path, name + "_curves.json")) as stream:
        rows = json.load(stream)
    return [np.array(row["curve"]) for row in rows], np.array([row["kind"] for row in rows])


def get_train_data(raw_data_path):
    return _read(raw_data_path, "train")


def get_test_data(raw_data_path):
    return _read(raw_data_path, "test")


def train_submission(module_path, X, y, train_is):
    from importlib import import_module
    extractor = import_module(".feature_extractor", module_path).FeatureExtractor()
    classifier = import_module(".classifier", module_path).Classifier()
    chosen = [X[i] for i in train_is]
    extractor.fit(chosen, y[train_is])
    classifier.fit(extractor.transform(chosen), y[train_is])
    return extractor, classifier


def test_submission(trained_model, X, test_is):
    extractor, classifier = trained_model
    return classifier.predict_proba(extractor.transform([X[i] for i in test_is]))
'''
CURVE_FEATURES = """
import numpy as np


class FeatureExtractor:
    def fit(self, X, y):
        pass

    def transform(self, X):
        return np.array([[curve.mean(), curve.std(), len(curve)] for curve in X])
"""


@pytest.fixture(scope="module")
def client(live: LiveServer) -> Client:
    return live.client()


def dataset(
    client: Client, name: str, data: Any, target: str, elements: str, held_out: float = 0.5
) -> Dataset:
    made = client.datasets.create(name, data, target_column=target, workflow_elements=elements)
    client.tasks.wait(client.datasets.split(made, held_out))
    return client.datasets.get(made)


def run(client: Client, on: Dataset, files: Mapping[str, str], train_is: Any, test_is: Any) -> Fold:
    fold = client.folds.create(train_is, test_is, dataset=on, files=files)
    return client.wait([fold], timeout=120)[0]


def parts(csv: bytes, target: str) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    train, test = train_test_split(pd.read_csv(io.BytesIO(csv)), test_size=0.5, random_state=42)
    # As a runner reads them: from the files of the split.
    train, test = (pd.read_csv(io.StringIO(part.to_csv(index=False))) for part in (train, test))
    return train.drop(columns=target), train[target], test.drop(columns=target), test[target]


def same(client: Client, fold: Fold, full_train: np.ndarray, test: np.ndarray) -> None:
    assert fold.state == "TESTED", client.folds.log(fold)
    got = client.folds.predictions(fold)
    assert np.array_equal(got.full_train, full_train)
    assert np.array_equal(got.test, test)


def test_classifier(client: Client) -> None:
    on = dataset(client, "exec iris", iris_csv(), "species", "classifier")
    X, y, X_test, y_test = parts(iris_csv(), "species")
    train_is, test_is = np.arange(0, 75, 2), np.arange(1, 75, 2)
    fold = run(client, on, {"classifier.py": CLASSIFIER}, train_is, test_is)
    model = RandomForestClassifier(n_estimators=5, random_state=3)
    model.fit(np.array(X)[train_is], np.array(y)[train_is])
    same(client, fold, model.predict_proba(np.array(X)), model.predict_proba(np.array(X_test)))
    assert fold.scores["test_accuracy"] == model.score(np.array(X_test), y_test)
    assert fold.scores["validation_accuracy"] == model.score(
        np.array(X)[test_is], np.array(y)[test_is]
    )


def test_extractor_and_calibrator(client: Client) -> None:
    elements = "feature_extractor, classifier, calibrator"
    on = dataset(client, "exec calibrated", iris_csv(), "species", elements)
    X, y, X_test, _ = parts(iris_csv(), "species")
    train_is = np.arange(5, 75)
    files = {
        "feature_extractor.py": EXTRACTOR,
        "classifier.py": CLASSIFIER,
        "calibrator.py": CALIBRATOR,
    }
    fold = run(client, on, files, train_is, np.arange(5))
    means = X.iloc[train_is].mean()
    features, labels = (X.iloc[train_is] - means).to_numpy(), y.iloc[train_is].to_numpy()
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57)
    fit_is, calibrate_is = next(splitter.split(features, labels))
    model = RandomForestClassifier(n_estimators=5, random_state=3)
    model.fit(features[fit_is], labels[fit_is])
    calibrator = LogisticRegression().fit(
        model.predict_proba(features[calibrate_is]), labels[calibrate_is]
    )
    full, test = (
        calibrator.predict_proba(model.predict_proba((part - means).to_numpy()))
        for part in (X, X_test)
    )
    same(client, fold, full, test)


def test_regressor(client: Client) -> None:
    on = dataset(client, "exec diabetes", diabetes_csv(), "target", "regressor")
    X, y, X_test, y_test = parts(diabetes_csv(), "target")
    train_is = np.arange(0, len(X), 3)
    fold = run(client, on, {"regressor.py": REGRESSOR}, train_is, np.arange(1, len(X), 3))
    model = Ridge(alpha=0.5).fit(np.array(X.iloc[train_is]), np.array(y.iloc[train_is]))
    same(client, fold, model.predict(np.array(X)), model.predict(np.array(X_test)))
    assert fold.scores["test_r2"] == pytest.approx(model.score(np.array(X_test), y_test))


def test_estimator(client: Client) -> None:
    on = dataset(client, "exec estimator", iris_csv(), "species", "estimator")
    fold = run(client, on, {"estimator.py": ESTIMATOR}, np.arange(60), np.arange(60, 75))
    assert fold.state == "TESTED", client.folds.log(fold)
    assert fold.scores["test_accuracy"] is not None
    assert fold.scores["test_accuracy"] > 0.8


def test_custom_dataset(client: Client) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"curve": list(rng.normal(kind, 0.3, size=rng.integers(5, 30))), "kind": int(kind)}
        for kind in rng.integers(0, 2, size=90)
    ]
    files = {"specific.py": SPECIFIC.encode(), "curves.json": pd.io.json.ujson_dumps(rows).encode()}
    made = client.datasets.create(
        "exec curves", files, target_column="kind",
        workflow_elements="feature_extractor, classifier",
    )  # fmt: skip
    code = {"feature_extractor.py": CURVE_FEATURES, "classifier.py": CLASSIFIER}
    # Posted before the split: it waits for it.
    early = client.folds.create(np.arange(40), np.arange(40, 60), dataset=made, files=code)
    assert early.stage == "WAITING"
    client.tasks.wait(client.datasets.custom_split(made))
    fold = client.wait([early], timeout=120)[0]
    assert fold.state == "TESTED", client.folds.log(fold)
    got = client.folds.predictions(fold)
    assert got.full_train.shape == (60, 2)
    assert got.test.shape == (30, 2)


def test_a_failure_shows_the_users_line(client: Client) -> None:
    on = dataset(client, "exec broken", iris_csv(), "species", "classifier")
    fold = run(client, on, {"classifier.py": BROKEN}, np.arange(50), np.arange(50, 75))
    assert (fold.state, fold.reason) == ("ERROR", "USER_ERROR")
    assert fold.user_line is not None
    assert (fold.user_line.file, fold.user_line.line) == ("classifier.py", 4)
    log = client.folds.log(fold)
    assert "undefined_thing" in log.traceback
    assert log.log_messages.endswith(" - ERROR(train)")


def test_a_failed_split_ends_the_folds_that_wait(client: Client) -> None:
    made = client.datasets.create(
        "exec no target", b"a,b\n1,2\n3,4\n", target_column="c", workflow_elements="classifier"
    )
    early = client.folds.create([0], [0], dataset=made, files={"classifier.py": CLASSIFIER})
    task = client.tasks.wait(client.datasets.split(made, 0.5), check=False)
    assert task.state == "FAILURE"
    assert 'no column "c"' in task.message
    fold = client.wait([early], timeout=60)[0]
    assert (fold.state, fold.reason) == ("ERROR", "DATA_ERROR")
    assert client.folds.log(fold).log_messages.endswith("ERROR(split data)")


def test_wrong_length(client: Client) -> None:
    on = dataset(client, "exec short", iris_csv(), "species", "classifier")
    code = CLASSIFIER.replace("predict_proba(X)\n", "predict_proba(X)[:3]\n")
    fold = run(client, on, {"classifier.py": code}, np.arange(50), np.arange(50, 75))
    assert (fold.state, fold.reason) == ("ERROR", "BAD_OUTPUT")
    assert client.folds.log(fold).log_messages == (
        "Wrong full train prediction size: \n3 instead of 75 \n - ERROR(validation)"
    )
