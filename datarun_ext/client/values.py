"""What a client gives and gets besides the server's own objects: arrays, folds, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from datarun_ext.client.data import Dataset, Fold, Runner, State, Submission

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a fold predicted, as float64 arrays in the shape that the submission gave them."""

    fold: int
    submission: int | None
    state: State
    full_train: NDArray[np.float64] | None
    """One prediction for each row of the whole training set."""
    test: NDArray[np.float64] | None
    """One prediction for each row of the test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """The rows of the training set that a fold trains on and is validated on."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """How the server makes the folds of a submission.

    Attributes
    ----------
    kind : {"stratified", "kfold", "shuffle"}
        Folds with the classes' proportions, plain folds, or random parts of `test_size`.
    """

    kind: Literal["stratified", "kfold", "shuffle"] = "stratified"
    n_splits: int = 5
    random_state: int | None = None
    test_size: float | None = None
    shuffle: bool | None = None

    def body(self) -> dict[str, Any]:
        """Return what is sent."""
        values = {
            "kind": self.kind,
            "n_splits": self.n_splits,
            "random_state": self.random_state,
            "test_size": self.test_size,
            "shuffle": self.shuffle,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A file that is already on the server, by its path below the server's root folder."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a client may see, at one point of the event log."""

    seq: int
    folds: tuple[Fold, ...] = ()
    """The newest thousand."""
    datasets: tuple[Dataset, ...] = ()
    submissions: tuple[Submission, ...] = ()
    runners: tuple[Runner, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change, committed on the server."""

    seq: int
    at: float
    kind: str
    """fold, task, rawdata, submission or runner."""
    ref: str
    """Id of what changed."""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        """Whether the thing is gone."""
        return self.data.get("deleted") is True


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """Text that a running fold has just printed."""

    fold: int
    attempt: int
    text: str


Message = Snapshot | Event | LogText
"""What an event stream gives."""
