"""A session: one server, seen from a notebook or a script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from datarun_ext.client import Client, DatarunHTTPError, Health, Priority
from datarun_ext.notebook.guess import guess_name, guess_workflow, table_columns
from datarun_ext.notebook.listing import Listing
from datarun_ext.notebook.objects.dataset import Dataset
from datarun_ext.notebook.objects.fold import Fold
from datarun_ext.notebook.objects.submission import Submission
from datarun_ext.notebook.watch import Watcher

if TYPE_CHECKING:
    import pandas as pd

    from datarun_ext.client.datasets import LimitsLike


class Session:
    """One server and what is on it.

    Parameters
    ----------
    client : Client

    Examples
    --------
    >>> from datarun_ext.client import Client
    >>> session = dr.Session(Client())
    >>> session.dataset("iris").target
    'species'
    >>> session.close()
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watcher = Watcher(client)

    @property
    def url(self) -> str:
        """Address of the server."""
        return self.client.url

    def datasets(self) -> Listing[Dataset]:
        """Return the datasets, oldest first."""
        return Listing([Dataset(self, data) for data in self.client.datasets.list()])

    def dataset(self, dataset: int | str) -> Dataset:
        """Return a dataset by its id or its name."""
        return Dataset(self, self.client.datasets.get(dataset))

    def submissions(self, dataset: Dataset | int | str | None = None) -> Listing[Submission]:
        """Return the submissions, of one dataset or of all, oldest first."""
        of = None if dataset is None else self._dataset(dataset).id
        return Listing(
            [Submission(self, data) for data in self.client.submissions.list(dataset=of)]
        )

    def submission(self, submission: int | str) -> Submission:
        """Return a submission by its id, or the newest one of that name.

        Raises
        ------
        LookupError
            If none has that name.
        """
        if isinstance(submission, int):
            return Submission(self, self.client.submissions.get(submission))
        known = self.client.submissions.list()
        for data in reversed(known):
            if data.name == submission:
                return Submission(self, data)
        names = ", ".join(dict.fromkeys(data.name for data in known if data.name)) or "none"
        msg = f"There is no submission called {submission!r}; the server has: {names}."
        raise LookupError(msg)

    def fold(self, fold: int) -> Fold:
        """Return a fold by its id."""
        return Fold(self, self.client.folds.get(fold))

    def upload(
        self,
        data: Any,
        *,
        name: str | None = None,
        target: str | None = None,
        workflow: str | Iterable[str] | None = None,
        limits: LimitsLike | None = None,
    ) -> Dataset:
        """Create a dataset on the server and return it.

        Parameters
        ----------
        data : DataFrame, path, URL, list of paths, or {file name: content}
            A table whose rows are split into train and test; or the files of a custom dataset,
            one of them a ``.py`` with the five functions.
        name : str, optional
            At most 40 characters, unique on the server. Default: the file's name.
        target : str, optional
            The column to predict. Needed for a table.
        workflow : str or iterable of str, optional
            E.g. ``"feature_extractor, classifier"``. Default: ``"regressor"`` for a target of
            many different numbers, ``"classifier"`` for any other.
        limits : Limits or mapping, optional
            What folds of this dataset may use, where it differs from the server's default.

        Raises
        ------
        ValueError
            If something is missing, or another dataset has the name.

        Examples
        --------
        >>> session = dr.connect()
        >>> session.upload("iris.csv", name="by path", target="species").split(0.2)
        Dataset ... 'by path': 120 rows to train on, 30 to test on, predict 'species' ...
        """
        if isinstance(data, str) and urlsplit(data).scheme in ("http", "https", "ftp", "s3"):
            name = name or guess_name(urlsplit(data).path)
            data = {f"{name}.csv": _fetch(data)}
        columns = table_columns(data)
        if columns is not None:
            if target is None or target not in columns:
                problem = "target is missing" if target is None else f"no column {target!r}"
                shown = ", ".join(map(repr, columns[-20:]))
                msg = f"{problem}: say which column is to be predicted, target=...; one of {shown}"
                raise ValueError(msg)
            workflow = workflow or guess_workflow(data, target)
        elif workflow is None:
            msg = (
                "workflow is missing: a custom dataset must say which files a submission has, "
                'e.g. workflow="feature_extractor, classifier"'
            )
            raise ValueError(msg)
        name = name or guess_name(data)
        if not name:
            msg = "name is missing: give the dataset one, name=..."
            raise ValueError(msg)
        try:
            made = self.client.datasets.create(
                name,
                data,
                target_column=target or "target",
                workflow_elements=workflow,
                limits=limits,
            )
        except DatarunHTTPError as error:
            if "already exists" not in "".join(error.fields.get("name", [])):
                raise
            msg = (
                f"A dataset called {name!r} already exists: dr.dataset({name!r}) returns it, and "
                f"dr.dataset({name!r}).delete() deletes it with its submissions."
            )
            raise ValueError(msg) from error
        return Dataset(self, made)

    def submit(
        self,
        dataset: Dataset | int | str,
        code: Any,
        *,
        name: str = "",
        cv: Any = 5,
        priority: Priority | str = Priority.LOW,
        limits: LimitsLike | None = None,
        preflight: bool = False,
    ) -> Submission:
        """Have a model trained on every fold; see `Dataset.submit`."""
        return self._dataset(dataset).submit(
            code, name=name, cv=cv, priority=priority, limits=limits, preflight=preflight
        )

    def runners(self) -> pd.DataFrame:
        """Return the runners as a DataFrame."""
        import pandas as pd

        rows = [
            {
                "runner": runner.name,
                "alive": runner.alive,
                "busy": runner.busy,
                "slots": runner.slots,
                "queues": ", ".join(runner.queues),
                "sandbox": runner.sandbox,
            }
            for runner in self.client.runners()
        ]
        columns = ["runner", "alive", "busy", "slots", "queues", "sandbox"]
        return pd.DataFrame(rows, columns=columns).set_index("runner")

    def health(self) -> Health:
        """Return whether the platform can train folds now, and what to do if not."""
        return self.client.health()

    def close(self) -> None:
        """Stop watching and close all connections."""
        self.watcher.close()
        self.client.close()

    def _dataset(self, dataset: Dataset | int | str) -> Dataset:
        return dataset if isinstance(dataset, Dataset) else self.dataset(dataset)

    def __repr__(self) -> str:
        return f"Session({self.url!r})"


def _fetch(url: str) -> bytes:
    import fsspec

    with fsspec.open(url, "rb") as file:
        data: bytes = file.read()
    return data
