"""One line that says how far a submission is, in a terminal and below a notebook's cell."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from datarun_ext.client import Fold
from datarun_ext.notebook import look

BAR = 20
EVERY_S = 0.25


class Progress:
    """Shows one line while it is open; a log file gets only the last one.

    Parameters
    ----------
    what : str
        What is waited for.
    shown : bool
        Whether to show anything.
    """

    def __init__(self, what: str, *, shown: bool = True, stream: TextIO | None = None) -> None:
        self._what = what
        self._shown = shown
        # A notebook paints what comes on stderr red.
        self._stream = stream or (sys.stdout if _in_notebook(sys.stdout) else sys.stderr)
        self._folds: dict[int, Fold] = {}
        self._last = 0.0
        self._width = 0
        self._live = self._stream.isatty() or _in_notebook(self._stream)

    def take(self, fold: Fold) -> None:
        """Learn that a fold has changed."""
        self._folds[fold.id] = fold
        if self._shown and self._live and time.monotonic() - self._last > EVERY_S:
            self._write(self.text(), "")

    def text(self) -> str:
        """Return the line."""
        folds = list(self._folds.values())
        ended = sum(fold.state.final for fold in folds)
        full = round(BAR * ended / len(folds)) if folds else 0
        parts = [f"{self._what} [{'#' * full}{'.' * (BAR - full)}] {ended}/{len(folds)}"]
        parts.append(look.counts_text(folds))
        left = look.eta(folds)
        if left is not None:
            parts.append(f"about {look.seconds(left)} left")
        return "  ".join(parts)

    def _write(self, text: str, end: str) -> None:
        self._last = time.monotonic()
        start = "\r" if self._live else ""
        self._stream.write(f"{start}{text.ljust(self._width)}{end}")
        self._stream.flush()
        self._width = len(text)

    def __enter__(self) -> Self:
        # The folds become known one after the other: the first line waits for all.
        self._last = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown and self._folds:
            self._write(self.text(), "\n")


def _in_notebook(stream: TextIO) -> bool:
    return "ipykernel" in type(stream).__module__
