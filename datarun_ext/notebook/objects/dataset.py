"""A dataset: split it, look at it, have models trained on it."""

from __future__ import annotations

import io
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarun_ext.client import CrossValidation, NotFound, Priority
from datarun_ext.client import Dataset as Data
from datarun_ext.notebook.listing import Listing
from datarun_ext.notebook.objects.submission import Submission
from datarun_ext.notebook.sources import as_files

if TYPE_CHECKING:
    import pandas as pd

    from datarun_ext.client.datasets import LimitsLike
    from datarun_ext.notebook.plots import Chart
    from datarun_ext.notebook.session import Session

REMEDY = "split it first: dataset.split(0.2)"


class Dataset:
    """A dataset on the server.

    Attributes
    ----------
    data : datarun_ext.client.Dataset
        Everything that the server said of it, at the time when it was asked.

    Examples
    --------
    >>> iris = dr.dataset("iris")
    >>> iris
    Dataset ... 'iris': 120 rows to train on, 30 to test on, predict 'species' with classifier
    >>> iris.train().columns[:2].tolist()
    ['sepal length', 'sepal width']
    """

    def __init__(self, session: Session, data: Data) -> None:
        self._session = session
        self.data = data

    @property
    def id(self) -> int:
        """Its number on the server."""
        return self.data.id

    @property
    def name(self) -> str:
        """Its name, unique on the server."""
        return self.data.name

    @property
    def target(self) -> str:
        """The column to predict."""
        return self.data.target_column

    @property
    def workflow(self) -> tuple[str, ...]:
        """The files that a submission must have, without ``.py``."""
        names = self.data.workflow_elements.split(",")
        return tuple(name.strip() for name in names if name.strip())

    def refresh(self) -> Dataset:
        """Ask the server how it is now; return it."""
        self.data = self._session.client.datasets.get(self.id)
        return self

    def split(
        self,
        test: float | None = None,
        *,
        random_state: int = 42,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Dataset:
        """Split it into a training set and a held-out test set; return it.

        Parameters
        ----------
        test : float or int, optional
            Fraction, or number of rows, of the test set; 0.2 by default. A custom dataset is
            split by its own ``prepare_data`` and takes none.
        random_state : int
            The same number gives the same split.
        wait : bool
            Whether to wait until it is split.
        timeout : float, optional
            Seconds to wait.

        Raises
        ------
        TaskFailed
            If it cannot be split, saying why.
        """
        client = self._session.client
        if self.data.kind == "custom":
            if test is not None:
                msg = f"{self.name} is split by its own prepare_data: leave test out"
                raise TypeError(msg)
            task = client.datasets.custom_split(self.data)
        else:
            task = client.datasets.split(
                self.data, 0.2 if test is None else test, random_state=random_state
            )
        if wait:
            client.tasks.wait(task, timeout)
        return self.refresh()

    def submit(
        self,
        code: Any,
        *,
        name: str = "",
        cv: Any = 5,
        priority: Priority | str = Priority.LOW,
        limits: LimitsLike | None = None,
        preflight: bool = False,
    ) -> Submission:
        """Have a model trained on every fold; return the submission at once.

        Parameters
        ----------
        code : estimator, class, source, path or {file name: content}
            A scikit-learn estimator, or a class with the methods that the workflow asks for, both
            also from the notebook itself; Python source; the path of a file or a folder; or
            several files, each one of these.
        name : str
            For people.
        cv : int, CrossValidation, splitter of scikit-learn, or iterable of (train, test)
            How the folds are made; a number is stratified for classes and plain for numbers.
        priority : Priority or str
            H goes before L.
        limits : Limits or mapping, optional
            What each fold may use, e.g. ``{"memory_mb": 2000, "hard_s": 60}``.
        preflight : bool
            Whether a runner tries the model on at most 50 rows first, which takes some seconds:
            a mistake is then found now, not behind all that waits, and nothing is stored.

        Raises
        ------
        CannotSubmit
            If the code cannot become the files that the workflow asks for, saying why.
        PreflightFailed
            If the trial failed, showing the line.

        Examples
        --------
        >>> from pathlib import Path
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> iris = dr.dataset("iris")
        >>> iris.submit(RandomForestClassifier(10), name="forest", cv=2)
        Submission ... 'forest': 2 folds (2 TODO)
        >>> iris.submit({"classifier.py": Path("models/classifier.py")}, name="file", cv=2).wait()
        Submission ... 'file': 2 folds (2 TESTED)
        """
        files = as_files(code, self.workflow)
        made = self._session.client.submissions.create(
            self.data,
            files,
            cv=self._cv(cv),
            name=name,
            priority=priority,
            limits=limits,
            preflight=preflight,
        )
        return Submission(self._session, made)

    def _cv(self, cv: Any) -> Any:
        if isinstance(cv, int | CrossValidation) or not hasattr(cv, "split"):
            return cv
        if self.data.kind == "custom":
            import numpy as np

            return cv.split(np.zeros(self.refresh().data.n_train))
        frame = self.train()
        return cv.split(frame.drop(columns=[self.target]), frame[self.target])

    def submissions(self) -> Listing[Submission]:
        """Return its submissions, oldest first."""
        return self._session.submissions(self)

    def file(self, name: str) -> bytes:
        """Return one of its files."""
        with tempfile.TemporaryDirectory(prefix="datarun-") as folder:
            return self._session.client.datasets.download(
                self.data, name, Path(folder) / "file"
            ).read_bytes()

    def train(self) -> pd.DataFrame:
        """Return the training set, with its target. Of a standard dataset, once it is split."""
        return self._part("train.csv")

    def test(self) -> pd.DataFrame:
        """Return the held-out test set, with its target."""
        return self._part("test.csv")

    def _part(self, name: str) -> pd.DataFrame:
        import pandas as pd

        try:
            return pd.read_csv(io.BytesIO(self.file(name)))
        except NotFound as error:
            why = "it is a custom dataset" if self.data.kind == "custom" else REMEDY
            msg = f"{self.name} has no {name}: {why}"
            raise LookupError(msg) from error

    def preview(self, rows: int = 20) -> pd.DataFrame:
        """Return the first rows as a DataFrame."""
        import pandas as pd

        found = self._session.client.datasets.preview(self.data, rows=rows)
        return pd.DataFrame(list(found.rows), columns=[column.name for column in found.columns])

    def leaderboard(self, by: str | None = None) -> pd.DataFrame:
        """Return its submissions with the means of their scores, the best first.

        Parameters
        ----------
        by : str, optional
            The score to sort by. Default: the first of validation_accuracy, validation_r2,
            validation_rmse that there is.
        """
        from datarun_ext.notebook.leaderboard import leaderboard

        return leaderboard([one.data for one in self.submissions()], by)

    def plot(self, by: str | None = None) -> Chart:
        """Return the leaderboard as a chart: the mean of a score, and its spread over the folds."""
        from datarun_ext.notebook.plots import leaderboard_chart

        return leaderboard_chart(self.leaderboard(by), self.name)

    def delete(self) -> None:
        """Delete it with its files, submissions and folds; running ones are stopped."""
        self._session.client.datasets.delete(self.data)

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "dataset": self.id,
            "name": self.name,
            "kind": self.data.kind,
            "target": self.target,
            "workflow": ", ".join(self.workflow),
            "split": self.data.split_state,
            "train": self.data.n_train or None,
            "test": self.data.n_test or None,
        }

    def __repr__(self) -> str:
        parts = {
            "DONE": f"{self.data.n_train} rows to train on, {self.data.n_test} to test on",
            "NONE": "not split yet",
            "RUNNING": "being split",
            "ERROR": f"split failed: {self.data.split_error}",
        }
        return (
            f"Dataset {self.id} {self.name!r}: {parts[self.data.split_state]}, predict "
            f"{self.target!r} with {', '.join(self.workflow)}"
        )

    def _repr_html_(self) -> str:
        return f"<div>{escape(repr(self))}</div>"
