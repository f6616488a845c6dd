"""Sent along with the calls of `datarun_ext.notebook.pool`: makes each of them one fold.

A custom dataset whose training set has one row for each call; a fold "trains" on one row, and is
"validated" on one more row that is nothing. Runs on a runner, in a sandbox, as ``specific.py``:
imports nothing of datarun.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

WORD = 4
"""Bytes in one float64: every 32-bit number is one exactly, and finite."""


class Calls:
    """The calls, each still a pickle, and the objects that they share."""

    def __init__(self, shared: list[Any], pickles: list[Any]) -> None:
        self.shared = shared
        self.pickles = pickles

    def __len__(self) -> int:
        return len(self.pickles) + 1

    def load(self, row: int) -> Any:
        """Return (function, args, kwargs)."""
        return _Unpickler(self.shared, self.pickles[row].tobytes()).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, shared: list[Any], data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._shared = shared

    def persistent_load(self, place: int) -> Any:
        return self._shared[place]


def prepare_data(raw_data_path: str) -> None:
    """Nothing is to be split."""


def get_train_data(raw_data_path: str) -> tuple[Calls, list[float]]:
    """Return the calls, and no labels."""
    folder = Path(raw_data_path)
    shared = pickle.loads((folder / "shared.bin").read_bytes())
    data = np.fromfile(folder / "calls.bin", dtype=np.uint8)
    ends = np.fromfile(folder / "ends.bin", dtype="<i8")
    calls = Calls(shared, np.split(data, ends[:-1]))
    return calls, [float("nan")] * len(calls)


def get_test_data(raw_data_path: str) -> tuple[list[str], list[float]]:
    """Return one row, for which a fold "predicts" its result."""
    return ["result"], [float("nan")]


def train_submission(module_path: str, X: Calls, y: Any, train_is: Any) -> bytes:
    """Run one call; return what it returned, pickled."""
    function, args, kwargs = X.load(int(train_is[0]))
    result = function(*args, **kwargs)
    data: bytes = cloudpickle.dumps(result, protocol=5)
    return data


def test_submission(trained_model: bytes, X: Any, test_is: Any) -> Any:
    """Return the result as the numbers of the one test row; nothing for the others."""
    if isinstance(X, Calls):
        return np.zeros(len(X))
    words = np.frombuffer(trained_model + b"\0" * (-len(trained_model) % WORD), dtype="<u4")
    return np.concatenate([[float(len(trained_model))], words.astype(np.float64)])[np.newaxis]
