"""Data, submissions and jobs for the tests of the runner."""

from __future__ import annotations

import base64
import hashlib
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from datarun_ext.protocol import Dataset, File, FoldJob, Limits

CLASSIFIER = """
from sklearn.linear_model import LogisticRegression

class Classifier:
    def fit(self, X, y):
        self.model = LogisticRegression(max_iter=50).fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""
REGRESSOR = """
from sklearn.ensemble import RandomForestRegressor

class Regressor:
    def fit(self, X, y):
        self.model = RandomForestRegressor(n_estimators=3, random_state=1).fit(X, y)

    def predict(self, X):
        return self.model.predict(X)
"""
FEATURE_EXTRACTOR = """
import numpy as np

class FeatureExtractor:
    def fit(self, X, y):
        self.mean = X.select_dtypes("number").mean()

    def transform(self, X):
        return np.asarray(X.select_dtypes("number") - self.mean)
"""
CALIBRATOR = """
from sklearn.linear_model import LogisticRegression

class Calibrator:
    def fit(self, probabilities, y):
        self.model = LogisticRegression().fit(probabilities, y)

    def predict_proba(self, probabilities):
        return self.model.predict_proba(probabilities)
"""
ESTIMATOR = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def get_estimator():
    columns = make_column_transformer(
        (StandardScaler(), ["length", "width"]), (OneHotEncoder(), ["colour"])
    )
    return make_pipeline(columns, LogisticRegression())
"""
SPECIFIC = """
import os
from importlib import import_module
import numpy as np
import pandas as pd

def prepare_data(raw_data_path):
    table = pd.read_csv(os.path.join(raw_data_path, "all.csv"))
    table.iloc[::2].to_csv(os.path.join(raw_data_path, "a.csv"), index=False)
    table.iloc[1::2].to_csv(os.path.join(raw_data_path, "b.csv"), index=False)

def _read(path, name):
    table = pd.read_csv(os.path.join(path, name))
    return [dict(row) for _, row in table[["length", "width"]].iterrows()], table["kind"].to_numpy()

def get_train_data(raw_data_path):
    return _read(raw_data_path, "a.csv")

def get_test_data(raw_data_path):
    return _read(raw_data_path, "b.csv")

def _rows(X, indices):
    return np.array([[X[i]["length"], X[i]["width"]] for i in indices])

def train_submission(module_path, X, y, train_is):
    model = import_module(".classifier", module_path).Classifier()
    model.fit(_rows(X, train_is), np.array([y[i] for i in train_is]))
    return model

def test_submission(model, X, test_is):
    return model.predict_proba(_rows(X, test_is))
"""


def flowers(rows: int = 60) -> pd.DataFrame:
    """Return a table with numbers, whole numbers, text, gaps and text labels."""
    random = np.random.default_rng(3)
    kind = random.integers(0, 3, rows)
    return pd.DataFrame(
        {
            "length": random.normal(kind, 0.4),
            "petals": random.integers(3, 9, rows),
            "width": random.normal(-kind, 0.6),
            "colour": random.choice(["red", "blue", "white"], rows),
            "kind": np.array(["ant", "bee", "cat"])[kind],
        }
    )


def write_package(folder: Path, files: dict[str, str]) -> str:
    """Write Python files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(textwrap.dedent(text))
    return str(folder)


def pack_indices(indices: object) -> str:
    """Return row numbers as clients send them."""
    return base64.b64encode(zlib.compress(np.asarray(indices, dtype="<i8").tobytes())).decode()


def file_of(path: Path, *, local: bool = True) -> File:
    """Describe a file as the master does."""
    data = path.read_bytes()
    return File(
        name=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        url=path.as_uri() if local else None,
    )


def fold_job(
    folder: Path,
    submission: dict[str, str],
    *,
    elements: tuple[str, ...] = ("classifier",),
    local: bool = True,
    limits: Limits | None = None,
) -> FoldJob:
    """Write a split dataset and a submission below a folder, and describe a fold of them."""
    folder.mkdir(parents=True, exist_ok=True)
    table = flowers().drop(columns="colour")
    table[:40].to_csv(folder / "train.csv", index=False)
    table[40:].to_csv(folder / "test.csv", index=False)
    write_package(folder / "submission", submission)
    return FoldJob(
        fold_id=7,
        attempt=2,
        submission_id=5,
        dataset=Dataset(
            id=1,
            name="flowers",
            kind="standard",
            target_column="kind",
            workflow_elements=elements,
            files=tuple(file_of(folder / name, local=local) for name in ("train.csv", "test.csv")),
        ),
        files=tuple(
            file_of(folder / "submission" / name, local=local) for name in sorted(submission)
        ),
        train_is=pack_indices(range(0, 40, 2)),
        n_train=40,
        n_test=20,
        limits=limits or Limits(),
    )
