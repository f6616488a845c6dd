"""Folds: state, log, predictions; create one by one as in datarun 0.4, cancel, run again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from datarun_ext.client.codec import (
    Files,
    pack,
    pack_indices,
    read_files,
    unpack_indices,
    unpack_predictions,
)
from datarun_ext.client.data import Dataset, Fold, FoldLog, Priority, State, Submission
from datarun_ext.client.datasets import LimitsLike, ident, limits_body
from datarun_ext.client.submissions import submission_ident
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.values import Indices, Predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


Several = list[Predictions]


class Folds:
    """The server's folds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        train: ArrayLike,
        test: ArrayLike,
        *,
        submission: Submission | int | None = None,
        dataset: Dataset | int | None = None,
        files: Files | None = None,
        fold_id: int | None = None,
        priority: Priority | str = Priority.LOW,
        limits: LimitsLike | None = None,
        force: str | None = None,
        preflight: bool = False,
    ) -> Fold:
        """Have a model trained on one fold; return the fold.

        Parameters
        ----------
        train, test : array of int
            Rows of the training set to train on, and to be validated on.
        submission : Submission or int, optional
            A submission that the server has, or the id of the one that `files` make.
        dataset : Dataset or int, optional
            Needed with `files`.
        files : mapping, path or sequence of paths, optional
            The model's Python files, unless the server has them.
        fold_id : int, optional
            An id of one's own; the server gives one otherwise.
        force : str, optional
            ``"submission_fold"`` replaces a fold of that id, ``"submission, submission_fold"``
            the submission, its files and all its folds.
        preflight : bool
            Whether the server tries the model on at most 50 rows first. Raises `PreflightFailed`,
            which shows the line, when that fails; then the server has stored nothing.
        """
        body: dict[str, Any] = {
            "train_is": pack_indices(train),
            "test_is": pack_indices(test),
            "priority": str(priority),
        }
        if submission is not None:
            body["databoard_s_id"] = submission_ident(submission)
        if dataset is not None:
            body["raw_data"] = ident(dataset)
        if files is not None:
            found = read_files(files, suffix=".py")
            body["files"] = {name: pack(data) for name, data in found.items()}
        if fold_id is not None:
            body["databoard_sf_id"] = fold_id
        if limits is not None:
            body["limits"] = limits_body(limits)
        if force is not None:
            body["force"] = force
        asked = {"view": "summary", "preflight": 1 if preflight else None}
        return parse(Fold, self._transport.post("runapp/submissionfold/", body, **asked))

    def list(
        self,
        *,
        submission: Submission | int | None = None,
        dataset: Dataset | int | None = None,
        state: State | str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Fold]:
        """Return folds without their predictions and logs, oldest first unless told otherwise."""
        pages = self._transport.pages(
            "runapp/submissionfold/",
            limit=limit,
            view="summary",
            submission=None if submission is None else submission_ident(submission),
            raw_data=None if dataset is None else ident(dataset),
            state=state,
            order="-id" if newest_first else None,
        )
        return [parse(Fold, answer) for answer in pages]

    def get(self, fold: Fold | int) -> Fold:
        """Return a fold without its predictions and log."""
        return parse(Fold, self._transport.get(self._path(fold), view="summary"))

    def log(self, fold: Fold | int, *, since: int = 0) -> FoldLog:
        """Return what a fold printed from a character on, and its traceback when it failed."""
        return parse(FoldLog, self._transport.get(self._path(fold) + "log/", since=since))

    def predictions(self, fold: Fold | int) -> Predictions:
        """Return what a fold predicted; reading it does not mark the fold as read."""
        return _predictions(self._transport.get(self._path(fold), view="full"))

    def predictions_of(self, folds: Iterable[Fold | int]) -> Several:
        """Return what several folds predicted and mark those that have ended as read."""
        body = {"list_submission_fold": [fold_ident(fold) for fold in folds]}
        answers = self._transport.post("runapp/testpredictions/list/", body)
        return [_predictions(answer) for answer in answers]

    def new_predictions(self, dataset: Dataset | int | None = None) -> Several:
        """Return the predictions that nobody has asked for yet, and mark them as read."""
        body = {} if dataset is None else {"raw_data_id": ident(dataset)}
        answers = self._transport.post("runapp/testpredictions/new/", body)
        return [_predictions(answer) for answer in answers]

    def indices(self, fold: Fold | int) -> Indices:
        """Return the rows that a fold trains on and is validated on."""
        answer = self._transport.get(self._path(fold), view="full")
        return Indices(
            train=unpack_indices(answer["train_is"]), test=unpack_indices(answer["test_is"])
        )

    def cancel(self, fold: Fold | int) -> Fold:
        """Stop a fold; it ends in ERROR with reason CANCELLED. `Conflict` when it has ended."""
        return parse(Fold, self._transport.post(self._path(fold) + "cancel/"))

    def rerun(self, fold: Fold | int) -> Fold:
        """Train a fold once more. `Conflict` while it runs."""
        return parse(Fold, self._transport.post(self._path(fold) + "rerun/"))

    def set_priority(self, fold: Fold | int, priority: Priority | str) -> Fold:
        """Move a waiting fold to the other queue."""
        body = {"priority": str(priority)}
        return parse(Fold, self._transport.post(self._path(fold) + "priority/", body))

    def delete(self, fold: Fold | int) -> None:
        """Delete a fold; a running one is stopped."""
        self._transport.delete(self._path(fold))

    @staticmethod
    def _path(fold: Fold | int) -> str:
        return f"runapp/submissionfold/{fold_ident(fold)}/"


def fold_ident(fold: Fold | int) -> int:
    """Return the id of a fold, or the id itself."""
    return fold.id if isinstance(fold, Fold) else int(fold)


def _predictions(answer: dict[str, Any]) -> Predictions:
    arrays = {
        name: None
        if answer.get(f"{name}_predictions") is None
        else unpack_predictions(
            answer[f"{name}_predictions"], answer.get(f"{name}_predictions_shape")
        )
        for name in ("full_train", "test")
    }
    return Predictions(
        fold=answer["databoard_sf_id"],
        submission=answer.get("databoard_s"),
        state=State(answer["state"]),
        full_train=arrays["full_train"],
        test=arrays["test"],
    )
