"""Our scores are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from datarun_ext.codecs import pack
from datarun_ext.protocol import Labels
from datarun_ext.services.scores import fold_scores


def labels(kind: str, train: np.ndarray, test: np.ndarray, n_classes: int = 0) -> Labels:
    dtype = "<i8" if kind == "classes" else "<f8"
    return Labels(
        kind=kind,  # type: ignore[arg-type]
        classes=tuple(map(str, range(n_classes))),
        train=pack(train.astype(dtype).tobytes()),
        test=pack(test.astype(dtype).tobytes()),
    )


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 40), st.integers(1, 40))
def test_accuracy(seed: int, n_classes: int, n_train: int, n_test: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.integers(n_classes, size=n_train), rng.integers(n_classes, size=n_test)
    p_train, p_test = rng.random((n_train, n_classes)), rng.random((n_test, n_classes))
    rows = rng.permutation(n_train)[: max(1, n_train // 2)]
    scores = fold_scores(
        labels("classes", train, test, n_classes), full_train=p_train, test=p_test, test_is=rows
    )
    assert scores == {
        "validation_accuracy": pytest.approx(
            metrics.accuracy_score(train[rows], p_train[rows].argmax(axis=1))
        ),
        "test_accuracy": pytest.approx(metrics.accuracy_score(test, p_test.argmax(axis=1))),
    }


@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(1e-3, 1e6))
def test_regression(seed: int, column: bool, scale: float) -> None:
    rng = np.random.default_rng(seed)
    train, test = scale * rng.normal(size=20), scale * rng.normal(size=7)
    p_train, p_test = scale * rng.normal(size=20), scale * rng.normal(size=7)
    rows = np.arange(5, 15)
    shape = (-1, 1) if column else (-1,)
    scores = fold_scores(
        labels("numbers", train, test),
        full_train=p_train.reshape(shape),
        test=p_test.reshape(shape),
        test_is=rows,
    )
    for name, truth, found in (
        ("validation", train[rows], p_train[rows]),
        ("test", test, p_test),
    ):
        rmse = metrics.root_mean_squared_error(truth, found)
        assert scores[f"{name}_rmse"] == pytest.approx(rmse)
        assert scores[f"{name}_r2"] == pytest.approx(metrics.r2_score(truth, found))


def test_what_cannot_be_scored_has_no_score() -> None:
    some, rows = np.zeros(4), np.array([1])
    assert fold_scores(Labels(), full_train=some, test=some, test_is=rows) == {}
    three = labels("classes", some, some, 3)
    assert fold_scores(three, full_train=some, test=some, test_is=rows) == {}
    two_columns = np.zeros((4, 2))
    assert fold_scores(three, full_train=two_columns, test=two_columns, test_is=rows) == {}
    numbers = labels("numbers", some, some)
    assert fold_scores(numbers, full_train=two_columns, test=two_columns, test_is=rows) == {}
    constant = fold_scores(numbers, full_train=some, test=some, test_is=rows)
    assert constant == {"validation_rmse": 0.0, "test_rmse": 0.0}
    huge = np.full(4, 1e308)
    with np.errstate(over="ignore"):
        assert "validation_rmse" not in fold_scores(
            numbers, full_train=huge, test=huge, test_is=rows
        )
