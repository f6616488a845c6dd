"""Data and submissions for tests against real servers."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from sklearn.datasets import load_diabetes, load_iris

TREE = """
from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.forest = RandomForestClassifier(n_estimators=1, random_state=0)

    def fit(self, X, y):
        self.forest.fit(X, y)

    def predict_proba(self, X):
        return self.forest.predict_proba(X)
"""
SLOW = """
import time
from sklearn.dummy import DummyClassifier


class Classifier(DummyClassifier):
    def fit(self, X, y):
        print("training", flush=True)
        time.sleep({seconds})
        return super().fit(X, y)
"""
BROKEN = """
class Classifier:
    def fit(self, X, y):
        return self.undefined_thing

    def predict_proba(self, X):
        return X
"""


def pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def packed(source: str) -> str:
    return pack(source.encode())


def indices(values: object) -> str:
    return pack(np.asarray(values, dtype=np.int64).tobytes())


def floats(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.float64)


def iris_csv() -> bytes:
    """iris as people have it: names of species, four columns."""
    bunch = load_iris(as_frame=True)
    frame = bunch.data.round(1)
    frame["species"] = bunch.target_names[bunch.target]
    return frame.to_csv(index=False).encode()


def diabetes_csv() -> bytes:
    bunch = load_diabetes(as_frame=True)
    return bunch.frame.to_csv(index=False).encode()
