"""Check the predictions of a submission, and turn them into float64."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from celery_app.execution import Context, RunFault
from celery_app.layout import FULL_TRAIN
from datarun_ext.protocol import Reason


@dataclass(frozen=True, slots=True)
class Expected:
    """What the predictions of one part must look like."""

    output: str
    """Under which name they are handed over."""
    rows: int
    probabilities: bool = False
    """One column per class."""

    @property
    def called(self) -> str:
        """How the part is called in messages."""
        return "full train" if self.output == FULL_TRAIN else "test"


def hand_over(context: Context, predictions: Any, expected: Expected) -> None:
    """Give predictions to the runner; raises `RunFault` BAD_OUTPUT when they are unusable."""
    array = _as_array(predictions, expected)
    returned = str(array.dtype)
    values = np.ascontiguousarray(_as_float(array, expected), dtype="<f8")
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise _bad(
            f"The {expected.called} predictions hold {bad} values of {values.size} that are not "
            "finite (NaN or infinity)."
        )
    context.output(
        expected.output,
        values.reshape(-1).view(np.uint8).data,
        shape=list(values.shape),
        dtype=returned,
    )


def _bad(detail: str) -> RunFault:
    return RunFault(Reason.BAD_OUTPUT, detail)


def _as_array(predictions: Any, expected: Expected) -> np.ndarray:
    if predictions is None:
        raise _bad(f"There are no {expected.called} predictions: None was returned.")
    if hasattr(predictions, "toarray"):
        predictions = predictions.toarray()
    array = np.asarray(predictions)
    if not array.ndim:
        raise _bad(
            f"The {expected.called} predictions are one {type(predictions).__name__}, "
            f"not an array with {expected.rows} rows."
        )
    if len(array) != expected.rows:
        raise _bad(
            f"Wrong {expected.called} prediction size: \n{len(array)} instead of {expected.rows} "
        )
    if expected.probabilities and (array.ndim != 2 or not array.shape[1]):
        raise _bad(
            f"The {expected.called} predictions have shape {array.shape}: predict_proba must "
            f"return a matrix of {expected.rows} rows and one column per class."
        )
    return array


def _as_float(array: np.ndarray, expected: Expected) -> np.ndarray:
    if array.dtype == object and all(isinstance(value, Real) for value in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        sample = repr(array.flat[0])[:60] if array.size else ""
        raise _bad(
            f"The {expected.called} predictions have dtype {array.dtype}, they must be numbers"
            + (f"; the first is {sample}." if sample else ".")
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float64)
