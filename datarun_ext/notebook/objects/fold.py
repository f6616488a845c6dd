"""A fold: a submission on one part of the cross-validation."""

from __future__ import annotations

import tempfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarun_ext.client import Fold as Data
from datarun_ext.client import Indices, Predictions, Stage, State
from datarun_ext.client.data import UserLine
from datarun_ext.notebook import look

if TYPE_CHECKING:
    from datarun_ext.notebook.session import Session


class Fold:
    """A submission on one fold of the cross-validation.

    Attributes
    ----------
    data : datarun_ext.client.Fold
        Everything that the server said of it, at the time when it was asked.
    """

    def __init__(self, session: Session, data: Data) -> None:
        self._session = session
        self.data = data

    @property
    def id(self) -> int:
        """Its number on the server."""
        return self.data.id

    @property
    def state(self) -> State:
        """How far it is: TODO, TRAINED, VALIDATED, TESTED or ERROR."""
        return self.data.state

    @property
    def stage(self) -> Stage | None:
        """Where it is; finer than `state`."""
        return self.data.stage

    @property
    def scores(self) -> dict[str, float | None]:
        """Scores on the validation part and on the test set."""
        return self.data.scores

    @property
    def reason(self) -> str | None:
        """Why it ended in ERROR."""
        return self.data.reason

    @property
    def detail(self) -> str:
        """The cause of an ERROR in one sentence."""
        return self.data.detail

    @property
    def user_line(self) -> UserLine | None:
        """The line of the submission at which it failed."""
        return self.data.user_line

    def refresh(self) -> Fold:
        """Ask the server how it is now; return it."""
        self.data = self._session.client.folds.get(self.id)
        return self

    def wait(self, timeout: float | None = None) -> Fold:
        """Return it once it has ended."""
        self.data = self._session.client.wait(self.data, timeout)[0]
        return self

    def log(self) -> str:
        """Return what it printed, and its traceback when it failed."""
        return look.log_text(self._session.client.folds.log(self.id))

    def predictions(self) -> Predictions:
        """Return its predictions of the whole training set and of the test set, as arrays."""
        return self._session.client.folds.predictions(self.id)

    def indices(self) -> Indices:
        """Return the rows of the training set that it trains on and is validated on."""
        return self._session.client.folds.indices(self.id)

    def cancel(self) -> Fold:
        """Stop it."""
        self.data = self._session.client.folds.cancel(self.id)
        return self

    def rerun(self) -> Fold:
        """Train it once more."""
        self.data = self._session.client.folds.rerun(self.id)
        return self

    def debug(self) -> None:
        """Train it here, in this process, so that its error can be looked into.

        Raises
        ------
        Exception
            What the submission raised on the runner, if it does so here too; ``%debug`` then
            stands at its line.
        """
        from datarun_ext.notebook.debug import Rebuilt

        Rebuilt.of(self._session.client, self.id).run()

    def bundle(self, target: str | PathLike[str] = "") -> Path:
        """Write data, code, rows and a script that trains it into one zip file; return it.

        Parameters
        ----------
        target : path, optional
            The zip file; by default ``fold-ID.zip`` in the working folder.
        """
        from datarun_ext.notebook.debug import Rebuilt

        with tempfile.TemporaryDirectory(prefix="datarun-") as folder:
            rebuilt = Rebuilt.of(self._session.client, self.id, Path(folder) / "fold")
            return rebuilt.zip(Path(target or f"fold-{self.id}.zip"))

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "fold": self.id,
            "state": str(self.data.stage or self.data.state),
            **{name: value for name, value in self.data.scores.items()},
            "train_s": round(self.data.train_time, 3) or None,
            "memory_MB": round(self.data.memory / 1000, 1) or None,
            "reason": self.data.reason or "",
        }

    def __repr__(self) -> str:
        return look.fold_text(self.data)
