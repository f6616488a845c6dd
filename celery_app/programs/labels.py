"""The labels of a split dataset, as the master needs them for scores."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from celery_app.execution import Context
from celery_app.layout import LABELS_TEST, LABELS_TRAIN, SUMMARY

MOST_CLASSES = 1000
MOST_NUMERIC_CLASSES = 100
"""More different numbers than this are no classes, unless the workflow has a classifier."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels of both parts: codes into `classes`, or float64 values.

    The classes are those of the training set, sorted as scikit-learn sorts them, so that column k
    of the probabilities belongs to class k. A label that only the test set has is -1, which no
    prediction can hit.
    """

    kind: str = "none"
    classes: tuple[str, ...] = ()
    train: bytes = b""
    test: bytes = b""


def describe(train: Any, test: Any, elements: Collection[str]) -> LabelSet:
    """Describe two label vectors; kind ``none`` when they are neither classes nor numbers."""
    parts = [_vector(train), _vector(test)]
    if any(part is None for part in parts):
        return LabelSet()
    y_train, y_test = (part for part in parts if part is not None)
    numeric = all(part.dtype.kind in "iufb" for part in (y_train, y_test))
    if "regressor" in elements and numeric:
        return _numbers(y_train, y_test)
    if numeric and "classifier" not in elements:
        whole = all(part.dtype.kind in "iub" for part in (y_train, y_test))
        if not whole or len(np.unique(y_train)) > MOST_NUMERIC_CLASSES:
            return _numbers(y_train, y_test)
    return _classes(y_train, y_test)


def hand_over(
    context: Context, labels: LabelSet, *, n_train: int, n_test: int, columns: Sequence[str] = ()
) -> None:
    """Give the summary of a split and its labels to the runner."""
    summary = {
        "n_train": n_train,
        "n_test": n_test,
        "columns": list(columns),
        "kind": labels.kind,
        "classes": list(labels.classes),
    }
    context.output(LABELS_TRAIN, labels.train)
    context.output(LABELS_TEST, labels.test)
    context.output(SUMMARY, json.dumps(summary).encode())


def _vector(labels: Any) -> np.ndarray | None:
    """Return the labels as a vector without gaps, or None."""
    try:
        vector = np.asarray(labels)
        if vector.ndim == 2 and vector.shape[1] == 1:
            vector = vector[:, 0]
        if vector.ndim != 1 or pd.isna(vector).any():
            return None
        if vector.dtype == object and all(isinstance(value, bool) for value in vector):
            vector = vector.astype(bool)
    except (TypeError, ValueError):
        return None
    return vector if vector.dtype.kind in "biufUO" else None


def _numbers(train: np.ndarray, test: np.ndarray) -> LabelSet:
    values = [np.ascontiguousarray(part, dtype="<f8") for part in (train, test)]
    if not all(np.isfinite(part).all() for part in values):
        return LabelSet()
    return LabelSet("numbers", (), *(part.tobytes() for part in values))


def _classes(train: np.ndarray, test: np.ndarray) -> LabelSet:
    try:
        known = pd.unique(pd.Series(train))
        if len(known) > MOST_CLASSES:
            return LabelSet()
        ordered = sorted(known.tolist())
    except TypeError:
        return LabelSet()
    index = pd.Index(ordered)
    codes = [index.get_indexer(pd.Index(part)).astype("<i8") for part in (train, test)]
    return LabelSet("classes", tuple(map(str, ordered)), *(part.tobytes() for part in codes))
