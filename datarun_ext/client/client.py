"""The client: one object from which everything on a server can be reached."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from datarun_ext.client.data import Fold, Health, Runner, Submission, User
from datarun_ext.client.datasets import Datasets
from datarun_ext.client.discovery import Server, find_server, normalise
from datarun_ext.client.events import EventStream
from datarun_ext.client.folds import Folds, fold_ident
from datarun_ext.client.submissions import Submissions
from datarun_ext.client.tasks import Tasks
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.uploads import Uploads
from datarun_ext.client.waiting import OnChange, Waiter


class Client:
    """Everything that a datarun server offers, as Python objects.

    Without arguments it finds its server by itself: in a notebook, the one that runs the notebook.

    Parameters
    ----------
    url : str, optional
        Address of the server with its base_url, e.g. ``http://127.0.0.1:8888/``.
    token : str, optional
        Token of the Jupyter server.
    username, password : str, optional
        A datarun user, instead of a token.
    timeout : float
        Seconds to wait for each answer.
    verify : bool or str
        Whether, or with which CA file, an https server is checked.

    Attributes
    ----------
    datasets, submissions, folds, tasks, uploads
        What the server holds.

    Raises
    ------
    NotConnected
        If no server is named and none is found; says what was tried.

    Examples
    --------
    >>> from datarun_ext.client import Client
    >>> client = Client()
    >>> flowers = client.datasets.create(
    ...     "flowers", "iris.csv", target_column="species", workflow_elements="classifier"
    ... )
    >>> client.tasks.wait(client.datasets.split(flowers, 0.2)).state
    'SUCCESS'
    >>> submission = client.submissions.create(flowers, "models/classifier.py", cv=2)
    >>> for fold in client.wait(submission):
    ...     print(fold.state, fold.scores["test_accuracy"])
    TESTED 1.0
    TESTED 1.0
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str = "",
        username: str = "",
        password: str = "",
        timeout: float = 60.0,
        verify: bool | str = True,
    ) -> None:
        if token and username:
            msg = "give a token, or a username with a password, not both"
            raise ValueError(msg)
        if url is None and (token or username):
            msg = "url is missing: a token or a username belongs to one server"
            raise ValueError(msg)
        if url is None:
            server = find_server(lambda found: _probe(found, verify))
        else:
            server = Server(url=normalise(url), token=token, username=username, password=password)
        self._transport = Transport(server, timeout=timeout, verify=verify)
        self._waiter = Waiter(self._transport)
        self.uploads = Uploads(self._transport)
        self.tasks = Tasks(self._transport, self._waiter)
        self.datasets = Datasets(self._transport, self.uploads, self.tasks)
        self.submissions = Submissions(self._transport, self.datasets)
        self.folds = Folds(self._transport)

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._transport.server.url

    def wait(
        self,
        what: Submission | Fold | int | Iterable[Fold | int],
        timeout: float | None = None,
        on_change: OnChange | None = None,
    ) -> list[Fold]:
        """Return folds once they have all ended, well or badly.

        Parameters
        ----------
        what : Submission, Fold, int or iterable
            A submission, or a fold or fold id or several of them.
        timeout : float, optional
            Seconds; without it, as long as it takes.
        on_change : callable, optional
            Called with the fold at each change of its state, and once with its first.

        Raises
        ------
        WaitTimeout
            If some had not ended in time; they go on.
        Deleted
            If one of them is deleted.
        """
        if isinstance(what, Submission):
            return self._waiter.submission(what, timeout, on_change)
        several = [what] if isinstance(what, Fold | int) else list(what)
        ids = list(dict.fromkeys(fold_ident(fold) for fold in several))
        return self._waiter.folds(lambda: ids, timeout, on_change)

    def events(self, since: int | None = None) -> EventStream:
        """Return the stream of what happens on the server; iterate over it, or call `next`.

        Parameters
        ----------
        since : int, optional
            Sequence number of the last event that is known; without it, a snapshot comes first.
        """
        return self._waiter.stream(since)

    def runners(self) -> list[Runner]:
        """Return the runners that have introduced themselves."""
        return [parse(Runner, one) for one in self._transport.get("runapp/runner/")]

    def health(self) -> Health:
        """Return whether the platform can train folds now, and what to do if not."""
        return parse(Health, self._transport.get("runapp/health/"))

    def me(self) -> User:
        """Return who the server takes the client for."""
        return parse(User, self._transport.get("runapp/user/me/"))

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, {self._transport.server.origin})"


def _probe(server: Server, verify: bool | str) -> None:
    transport = Transport(server, timeout=10.0, verify=verify)
    try:
        parse(User, transport.get("runapp/user/me/"))
    finally:
        transport.close()
