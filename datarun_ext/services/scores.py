"""Scores of a fold's predictions, computed by the master on labels that no submission sees.

Formulas as in scikit-learn's user guide, "Metrics and scoring": accuracy is the share of rows whose
most probable class is the label; RMSE the root of the mean squared difference; R² one minus the
ratio of the squared differences to those from the mean.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from datarun_ext.codecs import unpack
from datarun_ext.protocol import Labels

LIMIT = 1 << 34
Floats = npt.NDArray[np.float64]


def fold_scores(
    labels: Labels, *, full_train: Floats, test: Floats, test_is: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Return the scores of the validation part and of the held-out test set.

    Parameters
    ----------
    labels : Labels
        Labels of the whole training set and of the test set.
    full_train, test : array of float64
        Predictions: (rows, classes) probabilities, or (rows,) values or class codes.
    test_is : array of int64
        Rows of the training set that are the fold's validation part.
    """
    if labels.kind == "none":
        return {}
    dtype = "<i8" if labels.kind == "classes" else "<f8"
    y_train = np.frombuffer(unpack(labels.train, limit=LIMIT), dtype=dtype)
    y_test = np.frombuffer(unpack(labels.test, limit=LIMIT), dtype=dtype)
    parts = {
        "validation": (y_train[test_is], full_train[test_is]),
        "test": (y_test, test),
    }
    scores: dict[str, float] = {}
    for name, (truth, predicted) in parts.items():
        if truth.size and len(truth) == len(predicted):
            scores.update(_scores(name, labels, truth, predicted))
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _scores(
    name: str, labels: Labels, truth: npt.NDArray[Any], predicted: Floats
) -> dict[str, float]:
    if labels.kind == "classes":
        if predicted.ndim != 2 or predicted.shape[1] != len(labels.classes):
            return {}
        return {f"{name}_accuracy": float(np.mean(predicted.argmax(axis=1) == truth))}
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    if predicted.ndim != 1:
        return {}
    errors = np.square(predicted - truth)
    spread = float(np.square(truth - truth.mean()).sum())
    scores = {f"{name}_rmse": float(np.sqrt(errors.mean()))}
    if spread:
        scores[f"{name}_r2"] = 1 - float(errors.sum()) / spread
    return scores
