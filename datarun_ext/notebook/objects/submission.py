"""A submission: a model, trained on every fold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from datarun_ext.client import Event, Indices, Predictions, Snapshot
from datarun_ext.client import Fold as FoldData
from datarun_ext.client import Submission as Data
from datarun_ext.notebook import look
from datarun_ext.notebook.listing import Listing
from datarun_ext.notebook.objects.fold import Fold
from datarun_ext.notebook.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from datarun_ext.notebook.plots import Chart
    from datarun_ext.notebook.session import Session


class Submission:
    """A machine-learning model, and its folds. In a notebook it shows itself, live.

    Attributes
    ----------
    data : datarun_ext.client.Submission
        What the server said of it, at the time when it was asked.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> submission = dr.dataset("iris").submit(GaussianNB(), name="bayes", cv=2)
    >>> for fold in submission:  # as they end
    ...     print(fold.state)
    TESTED
    TESTED
    >>> submission.scores().columns.tolist()
    ['state', 'validation_accuracy', 'test_accuracy']
    >>> submission.predictions(submission.folds[0]).test.shape
    (30, 3)
    """

    def __init__(self, session: Session, data: Data) -> None:
        self._session = session
        self.data = data
        self._view: Any = None

    @property
    def id(self) -> int:
        """Its number on the server; ``dr.submission(id)`` gives it again, also after a restart."""
        return self.data.id

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self.data.name

    @property
    def session(self) -> Session:
        """The session that it belongs to."""
        return self._session

    @property
    def folds(self) -> Listing[Fold]:
        """Its folds as they are now."""
        return Listing([Fold(self._session, data) for data in self._folds()])

    def _folds(self) -> list[FoldData]:
        return self._session.client.folds.list(submission=self.id)

    def refresh(self) -> Submission:
        """Ask the server how it is now; return it."""
        self.data = self._session.client.submissions.get(self.id)
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Submission:
        """Return it once all its folds have ended, well or badly.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it, as long as it takes.
        progress : bool
            Whether to show how far it is. Ctrl-C only stops waiting: the folds go on.

        Raises
        ------
        WaitTimeout
            If some had not ended in time; they go on.
        """
        with Progress(self.name or f"submission {self.id}", shown=progress) as shown:
            self._session.client.wait(self.data, timeout, shown.take)
        return self.refresh()

    def __iter__(self) -> Iterator[Fold]:
        """Yield each fold when it has ended, the first to end first."""
        client = self._session.client
        yielded: set[int] = set()
        known: set[int] = set()
        with client.events() as stream:
            for message in stream:
                ended: list[FoldData] = []
                if isinstance(message, Snapshot):
                    folds = self._folds()
                    known |= {fold.id for fold in folds}
                    ended = [fold for fold in folds if fold.state.final]
                elif isinstance(message, Event) and self._has_ended(message, known):
                    ended = [client.folds.get(int(message.ref))]
                for fold in ended:
                    if fold.id not in yielded and fold.state.final:
                        yielded.add(fold.id)
                        yield Fold(self._session, fold)
                if known <= yielded:
                    return

    @staticmethod
    def _has_ended(message: Event, known: set[int]) -> bool:
        """Whether a message says that a fold of ours has ended; forgets a deleted one."""
        if message.kind != "fold":
            return False
        ident = int(message.ref)
        if message.deleted:
            known.discard(ident)
        return ident in known and message.data.get("state") in ("TESTED", "ERROR")

    def __await__(self) -> Generator[Any, None, Submission]:
        """Let ``await submission`` wait without holding up other tasks."""
        return asyncio.to_thread(self.wait, progress=False).__await__()

    async def __aiter__(self) -> AsyncIterator[Fold]:
        """Yield each fold when it has ended, without holding up other tasks."""
        found = iter(self)
        while (fold := await asyncio.to_thread(next, found, None)) is not None:
            yield fold

    def scores(self) -> pd.DataFrame:
        """Return the scores of each fold as a DataFrame, indexed by fold."""
        import pandas as pd

        folds = self._folds()
        names = look.score_names(folds)
        rows = [{n: fold.scores.get(n) for n in names} for fold in folds]
        index = pd.Index([fold.id for fold in folds], name="fold")
        frame = pd.DataFrame(rows, index=index, columns=names, dtype=float)
        frame.insert(0, "state", [str(fold.state) for fold in folds])
        return frame

    def predictions(self, fold: Fold | int) -> Predictions:
        """Return a fold's predictions of the training set and of the test set, as arrays."""
        return self._session.client.folds.predictions(_fold_id(fold))

    def indices(self, fold: Fold | int) -> Indices:
        """Return the rows of the training set that a fold trains on and is validated on."""
        return self._session.client.folds.indices(_fold_id(fold))

    def log(self, fold: Fold | int | None = None) -> str:
        """Return what a fold printed and why it failed; of the first failed one by default."""
        if fold is None:
            folds = self._folds()
            if not folds:
                return ""
            fold = next((one.id for one in folds if one.reason), folds[0].id)
        return look.log_text(self._session.client.folds.log(_fold_id(fold)))

    def source(self, name: str) -> str:
        """Return the text of one of its files."""
        return self._session.client.submissions.file(self.id, name)

    def cancel(self) -> int:
        """Stop all folds that have not ended; return how many."""
        return self._session.client.submissions.cancel(self.id)

    def rerun(self, only: Literal["failed", "all"] = "failed") -> int:
        """Train the failed folds, or all, once more; return how many."""
        return self._session.client.submissions.rerun(self.id, only)

    def delete(self) -> None:
        """Delete it with its files and folds; running ones are stopped."""
        self._session.client.submissions.delete(self.id)

    def plot(self, score: str | None = None) -> Chart:
        """Return the scores of the folds as a chart."""
        from datarun_ext.notebook.plots import scores_chart

        return scores_chart(self._folds(), self.name or f"submission {self.id}", score)

    def timeline(self) -> Chart:
        """Return when each fold waited and ran, on which runner, as a chart."""
        from datarun_ext.notebook.plots import timeline_chart

        return timeline_chart(self._folds(), self.name or f"submission {self.id}")

    def widget(self) -> Any:
        """Return the live view: states, progress, scores, buttons."""
        from datarun_ext.widget import SubmissionView

        if self._view is None:
            self._view = SubmissionView(self)
        return self._view

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        done = self.data.counts.get("TESTED", 0)
        return {
            "submission": self.id,
            "name": self.name,
            "dataset": self.data.dataset,
            "tested": f"{done}/{self.data.n_folds}",
            "failed": self.data.counts.get("ERROR", 0),
            **{name: score.mean for name, score in self.data.scores.items()},
        }

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        counts = ", ".join(f"{n} {state}" for state, n in self.data.counts.items() if n)
        return f"Submission {self.id}{name}: {self.data.n_folds} folds ({counts})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Show the live view, and where there is none, a table as it is now."""
        folds = self._folds()
        bundle: dict[str, Any] = {
            "text/plain": look.submission_text(self.data, folds),
            "text/html": look.submission_html(self.data, folds),
        }
        live = self.widget()._repr_mimebundle_()
        return {**live, **bundle} if live else bundle


def _fold_id(fold: Fold | int) -> int:
    return fold.id if isinstance(fold, Fold) else int(fold)
