"""Folds made by the server, for clients that have no scikit-learn (the panel)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from datarun_ext.codecs import pack_indices, unpack, unpack_indices
from datarun_ext.errors import Conflict, InvalidField
from datarun_ext.models import RawData, SplitState
from datarun_ext.protocol import Labels
from datarun_ext.services.new import Indices

CLASSES = 5
"""With ten rows of each class, what a submission stratifies or calibrates works on 50 rows too."""


class CrossValidation(BaseModel):
    """A splitter of scikit-learn, by name."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["stratified", "kfold", "shuffle"] = "stratified"
    n_splits: int = Field(5, ge=2, le=1000)
    random_state: int | None = Field(42, ge=0, lt=2**32)
    test_size: float = Field(0.2, gt=0, lt=1)
    """Share of the validation part; only of kind shuffle."""
    shuffle: bool = True

    def __str__(self) -> str:
        """The cross-validation in words."""
        return f"{self.kind}, {self.n_splits} folds"


def make_folds(cv: CrossValidation, *, dataset: RawData) -> list[Indices]:
    """Return the folds of a dataset's training set.

    Raises
    ------
    Conflict
        If the dataset is not split yet: nobody knows how many rows its training set has.
    InvalidField
        If there are fewer rows, or members of a class, than folds.
    """
    from sklearn import model_selection  # heavy; only those who ask for folds wait for it

    if dataset.split_state != SplitState.DONE:
        msg = f"Dataset {dataset.id} is not split yet: split it, then ask for folds."
        raise Conflict(msg)
    labels = Labels.model_validate(dataset.labels or {})
    kind = cv.kind if labels.kind == "classes" or cv.kind != "stratified" else "kfold"
    rows = np.zeros(dataset.n_train)
    y = rows
    if kind == "stratified":
        y = np.frombuffer(unpack(labels.train, limit=1 << 34), dtype="<i8")
    seed = cv.random_state if cv.shuffle else None
    splitter = {
        "stratified": lambda: model_selection.StratifiedKFold(
            cv.n_splits, shuffle=cv.shuffle, random_state=seed
        ),
        "kfold": lambda: model_selection.KFold(cv.n_splits, shuffle=cv.shuffle, random_state=seed),
        "shuffle": lambda: model_selection.ShuffleSplit(
            cv.n_splits, test_size=cv.test_size, random_state=cv.random_state
        ),
    }[kind]()
    try:
        return [
            Indices(
                train_is=pack_indices(train),
                test_is=pack_indices(test),
                highest=int(max(train.max(), test.max())),
            )
            for train, test in splitter.split(rows, y)
        ]
    except ValueError as error:
        raise InvalidField("cv", str(error)) from error


def few_rows(train_is: str, dataset: RawData, *, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many rows of a fold, of its `CLASSES` most frequent classes alike."""
    rows = np.sort(unpack_indices(train_is))
    labels = Labels.model_validate(dataset.labels or {})
    if labels.kind == "classes":
        codes = np.frombuffer(unpack(labels.train, limit=1 << 34), dtype="<i8")[rows]
        classes, counts = np.unique(codes, return_counts=True)
        kept = classes[np.argsort(-counts, kind="stable")][:CLASSES]
        members = [rows[codes == code] for code in kept]
        # Every class gives its first row, then every class its second one, until there are enough.
        turns = np.concatenate([np.arange(len(of_class)) for of_class in members])
        rows = np.sort(np.concatenate(members)[np.argsort(turns, kind="stable")][:most])
    elif len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return rows
