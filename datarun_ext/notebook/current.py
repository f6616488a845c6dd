"""The session in use, and the functions of `datarun_ext` that go to it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from datarun_ext.client import Client, Health, Priority
from datarun_ext.notebook.listing import Listing
from datarun_ext.notebook.objects.dataset import Dataset
from datarun_ext.notebook.objects.fold import Fold
from datarun_ext.notebook.objects.submission import Submission
from datarun_ext.notebook.session import Session

if TYPE_CHECKING:
    import pandas as pd

    from datarun_ext.client.datasets import LimitsLike

_lock = threading.Lock()
_current: Session | None = None


def connect(
    url: str | None = None,
    *,
    token: str = "",
    username: str = "",
    password: str = "",
    verify: bool | str = True,
) -> Session:
    """Connect to a server and use it from now on; return the session.

    Without arguments it finds the server that runs this notebook.

    Parameters
    ----------
    url : str, optional
        Address of the server with its base_url, e.g. ``http://127.0.0.1:8888/``.
    token : str, optional
        Token of the Jupyter server.
    username, password : str, optional
        A datarun user, instead of a token.
    verify : bool or str
        Whether, or with which CA file, an https server is checked.

    Raises
    ------
    NotConnected
        If no server is found, saying what was tried; or if the named one does not answer.

    Examples
    --------
    >>> dr.connect()
    Session('http://...')
    """
    global _current
    client = Client(url, token=token, username=username, password=password, verify=verify)
    client.me()
    with _lock:
        _current = Session(client)
        return _current


def current() -> Session:
    """Return the session in use; the first time, connect."""
    return _current or connect()


def client_of(session: Session | Client | None) -> Client:
    """Return the client of a session, of the session in use if there is none."""
    if isinstance(session, Client):
        return session
    return (session or current()).client


def datasets() -> Listing[Dataset]:
    """Return the datasets of the session in use."""
    return current().datasets()


def dataset(dataset: int | str) -> Dataset:
    """Return a dataset by its id or its name."""
    return current().dataset(dataset)


def submissions(dataset: Dataset | int | str | None = None) -> Listing[Submission]:
    """Return the submissions, of one dataset or of all."""
    return current().submissions(dataset)


def submission(submission: int | str) -> Submission:
    """Return a submission by its id, or the newest one of that name."""
    return current().submission(submission)


def fold(fold: int) -> Fold:
    """Return a fold by its id."""
    return current().fold(fold)


def upload(
    data: Any,
    *,
    name: str | None = None,
    target: str | None = None,
    workflow: str | Iterable[str] | None = None,
    limits: LimitsLike | None = None,
) -> Dataset:
    """Create a dataset on the server and return it; see `Session.upload`.

    Examples
    --------
    >>> import pandas as pd
    >>> import datarun_ext as dr
    >>> frame = pd.read_csv("iris.csv")
    >>> dr.upload(frame, name="by frame", target="species")
    Dataset ... 'by frame': not split yet, predict 'species' with classifier
    """
    return current().upload(data, name=name, target=target, workflow=workflow, limits=limits)


def submit(
    dataset: Dataset | int | str,
    code: Any,
    *,
    name: str = "",
    cv: Any = 5,
    priority: Priority | str = Priority.LOW,
    limits: LimitsLike | None = None,
    preflight: bool = False,
) -> Submission:
    """Have a model trained on every fold of a dataset; see `Dataset.submit`.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> dr.submit("iris", GaussianNB(), cv=2).wait().scores()["state"].tolist()
    ['TESTED', 'TESTED']
    """
    return current().submit(
        dataset, code, name=name, cv=cv, priority=priority, limits=limits, preflight=preflight
    )


def runners() -> pd.DataFrame:
    """Return the runners as a DataFrame."""
    return current().runners()


def health() -> Health:
    """Return whether the platform can train folds now, and what to do if not."""
    return current().health()
