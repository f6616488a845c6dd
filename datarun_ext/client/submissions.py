"""Submissions: send a model to be trained on all folds, cancel, run again, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from datarun_ext.client.codec import Files, pack, pack_indices, read_files
from datarun_ext.client.data import Dataset, Priority, Standing, Submission
from datarun_ext.client.datasets import Datasets, LimitsLike, ident, limits_body
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.values import CrossValidation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Folds = Iterable[tuple["ArrayLike", "ArrayLike"]]


class Submissions:
    """The server's submissions."""

    def __init__(self, transport: Transport, datasets: Datasets) -> None:
        self._transport = transport
        self._datasets = datasets

    def create(
        self,
        dataset: Dataset | int | str,
        files: Files,
        *,
        cv: CrossValidation | int | Folds = 5,
        name: str = "",
        submission_id: int | None = None,
        priority: Priority | str = Priority.LOW,
        limits: LimitsLike | None = None,
        preflight: bool = False,
    ) -> Submission:
        """Send a model and have it trained on every fold; return it with its id.

        Parameters
        ----------
        dataset : Dataset, int or str
            The dataset, its id or its name.
        files : mapping, path or sequence of paths
            The model's Python files: ``{file name: content}``, files, or their folder.
        cv : CrossValidation, int or iterable of (train, test)
            How the server makes the folds; a number of folds (stratified, or plain for a
            regression); or the row numbers of each fold.
        name : str
            For people.
        submission_id : int, optional
            An id of one's own; the server gives one otherwise.
        priority : Priority or str
            H goes before L.
        limits : Limits or mapping, optional
            What each fold may use.
        preflight : bool
            Whether the server tries the model on at most 50 rows first. Raises `PreflightFailed`,
            which shows the line, when that fails; then the server has stored nothing.
        """
        if isinstance(dataset, str) or (isinstance(dataset, int) and isinstance(cv, int)):
            dataset = self._datasets.get(dataset)
        sent = {n: pack(data) for n, data in read_files(files, suffix=".py").items()}
        body: dict[str, Any] = {
            "raw_data": ident(dataset),
            "files": sent,
            "priority": str(priority),
        }
        if isinstance(cv, int):
            regression = isinstance(dataset, Dataset) and "regressor" in dataset.workflow_elements
            cv = CrossValidation(kind="kfold" if regression else "stratified", n_splits=cv)
        if isinstance(cv, CrossValidation):
            body["cv"] = cv.body()
        else:
            body["folds"] = [
                {"train_is": pack_indices(train), "test_is": pack_indices(test)}
                for train, test in cv
            ]
        if name:
            body["name"] = name
        if submission_id is not None:
            body["databoard_s_id"] = submission_id
        if limits is not None:
            body["limits"] = limits_body(limits)
        asked = 1 if preflight else None
        return parse(Submission, self._transport.post("runapp/submission/", body, preflight=asked))

    def list(
        self,
        *,
        text: str | None = None,
        dataset: Dataset | int | None = None,
        owner: str | None = None,
        standing: Standing | str | None = None,
        limit: int | None = None,
    ) -> list[Submission]:
        """Return the submissions, oldest first.

        Each word of `text` must be in the name, the dataset's name, the owner or ``#id``.
        `standing` is where the folds stand, taken together, such as ``"failed"``.
        """
        raw_data = None if dataset is None else ident(dataset)
        pages = self._transport.pages(
            "runapp/submission/",
            limit=limit,
            raw_data=raw_data,
            text=text,
            owner=owner,
            standing=None if standing is None else str(standing),
        )
        return [parse(Submission, answer) for answer in pages]

    def get(self, submission: Submission | int) -> Submission:
        """Return a submission with its folds counted by state, and its scores."""
        return parse(Submission, self._transport.get(self._path(submission)))

    def file(self, submission: Submission | int, name: str) -> str:
        """Return the text of one of a submission's files."""
        return self.file_bytes(submission, name).decode("utf-8", errors="replace")

    def file_bytes(self, submission: Submission | int, name: str) -> bytes:
        """Return one of a submission's files, which need not be text."""
        return self._transport.raw("GET", f"{self._path(submission)}file/{name}/").content

    def cancel(self, submission: Submission | int) -> int:
        """Stop all of a submission's folds that have not ended; return how many."""
        return int(self._transport.post(self._path(submission) + "cancel/")["cancelled"])

    def rerun(self, submission: Submission | int, only: Literal["failed", "all"] = "failed") -> int:
        """Train a submission's failed folds, or all, once more; return how many."""
        answer = self._transport.post(self._path(submission) + "rerun/", {"only": only})
        return int(answer["rerun"])

    def set_priority(self, submission: Submission | int, priority: Priority | str) -> None:
        """Move a submission's waiting folds to the other queue."""
        self._transport.post(self._path(submission) + "priority/", {"priority": str(priority)})

    def delete(self, submission: Submission | int) -> None:
        """Delete a submission with its files and folds; running ones are stopped."""
        self._transport.delete(self._path(submission))

    @staticmethod
    def _path(submission: Submission | int) -> str:
        return f"runapp/submission/{submission_ident(submission)}/"


def submission_ident(submission: Submission | int) -> int:
    """Return the id of a submission, or the id itself."""
    return submission.id if isinstance(submission, Submission) else int(submission)
