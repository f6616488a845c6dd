"""Do once what nearly every fold does, so that no fold is the first to do it.

The first calls of a function are its most expensive: modules are imported late, caches are filled,
and Python rewrites the bytecode of what is called often to suit the types it meets. In a fold,
each of that is also a write to a page shared with the zygote, which the kernel copies.
"""

from __future__ import annotations

import base64
import json
import random
import tempfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from celery_app.frames import load_frame, store_frame
from celery_app.layout import TEST
from celery_app.programs.fold import indices
from celery_app.programs.predictions import Expected, hand_over
from celery_app.workflow import take
from datarun_ext.protocol import Phase

ROUNDS = 10
"""Python adapts a function to its types after eight calls."""


class _Unheard:
    """A context whose keeper nobody is."""

    arguments: Mapping[str, Any] = {}

    def path(self, inside: str) -> str:
        return inside

    def begin(self, phase: str) -> None:
        json.dumps({"phase": phase})

    def end(self) -> None:
        return

    def output(self, name: str, data: bytes | memoryview, **meta: Any) -> None:
        json.dumps({"name": name, "size": memoryview(data).nbytes, "meta": meta})


def warm_up() -> None:
    """Fit and predict a few times on a handful of rows; raises whatever goes wrong with that."""
    rows = np.arange(48)
    text = base64.b64encode(zlib.compress(rows.astype("<i8").tobytes())).decode()
    frame = pd.DataFrame((np.arange(240.0) % 7).reshape(60, 4), columns=list("abcd"))
    frame["target"] = ["x", "y", "z"] * 20
    estimators = (
        RandomForestClassifier(n_estimators=1),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5, tol=1.0)),
        Ridge(),
    )
    with tempfile.TemporaryDirectory() as folder:
        store_frame(folder, "frame", frame)
        for _ in range(ROUNDS):
            for estimator in estimators:
                _fit_and_predict(clone(estimator), load_frame(folder, "frame"), text)
            random.seed()
            np.random.seed()  # noqa: NPY002


def _fit_and_predict(estimator: Any, frame: pd.DataFrame, text: str) -> None:
    chosen = indices(text)
    X, y = frame[list("abcd")], frame["target"]
    labels = np.array(y.iloc[chosen])
    if not hasattr(estimator, "predict_proba"):
        labels = np.searchsorted(np.unique(labels), labels)
    context = _Unheard()
    context.begin(Phase.TRAIN)
    estimator.fit(np.array(take(X, chosen)), labels)
    every_row = np.array(take(X, range(len(X))))
    predict = getattr(estimator, "predict_proba", estimator.predict)
    expected = Expected(TEST, len(X), hasattr(estimator, "predict_proba"))
    hand_over(context, predict(every_row), expected)
    context.end()
