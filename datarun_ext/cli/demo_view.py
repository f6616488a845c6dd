"""How the demo shows folds: a live table on a terminal, else one line for each change."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from datarun_ext.client import Fold, State

COLOURS = {
    State.TODO: "dim",
    State.TRAINED: "cyan",
    State.VALIDATED: "blue",
    State.TESTED: "green",
    State.ERROR: "bold red",
}


class View(Protocol):
    """What the demo tells about its progress."""

    def say(self, text: str) -> None:
        """Show what is done now."""
        ...

    def change(self, fold: Fold) -> None:
        """Show a fold's new state."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class LineView:
    """One line for each change of a state."""

    def __init__(self, console: Console, names: dict[int, str]) -> None:
        self._console = console
        self._names = names
        self._states: dict[int, State] = {}
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def change(self, fold: Fold) -> None:
        """Print a line if the state is another one."""
        if self._states.get(fold.id) == fold.state:
            return
        self._states[fold.id] = fold.state
        name = self._names.get(fold.submission or 0, "?")
        why = f"  {fold.reason}: {fold.detail}" if fold.state is State.ERROR else ""
        self._print(f"fold {fold.id:>2}  {fold.priority}  {name:<20}  {fold.state}{why}")

    def _print(self, text: str) -> None:
        seconds = time.monotonic() - self._start
        self._console.print(f"{seconds:6.2f} s  {text}", markup=False, highlight=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return


class LiveView:
    """A table that moves."""

    def __init__(self, console: Console, names: dict[int, str]) -> None:
        self._console = console
        self._names = names
        self._folds: dict[int, Fold] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=10)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def change(self, fold: Fold) -> None:
        """Show a fold's new state in its row."""
        self._folds[fold.id] = fold

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        for _ in range(4):
            grid.add_column()
        # A copy: the live display renders in its own thread.
        folds = sorted(self._folds.copy().values(), key=lambda fold: fold.id)
        for fold in folds:
            colour = COLOURS[fold.state]
            shown = fold.stage or fold.state
            name = escape(self._names.get(fold.submission or 0, "?"))
            grid.add_row(
                f"fold {fold.id}", str(fold.priority), name, f"[{colour}]{shown}[/{colour}]"
            )
        if folds:
            ended = sum(fold.state.final for fold in folds)
            bar = ProgressBar(total=len(folds), completed=ended, width=30)
            grid.add_row("", "", bar, f"{ended} of {len(folds)}")
        return grid

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


def result_table(folds: list[Fold], names: dict[int, str]) -> Table:
    """Return times, memory and scores of each fold."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("fold", justify="right")
    table.add_column("", no_wrap=True)
    table.add_column("model", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for heading in ("train", "validation", "test", "CPU", "memory", "valid.\nacc.", "test\nacc."):
        table.add_column(heading, justify="right", no_wrap=True)
    for fold in folds:
        colour = COLOURS[fold.state]
        cpu = fold.train_cpu_time + fold.validation_cpu_time + fold.test_cpu_time
        table.add_row(
            str(fold.id),
            str(fold.priority),
            escape(names.get(fold.submission or 0, "?")),
            f"[{colour}]{fold.state}[/{colour}]",
            f"{fold.train_time:.2f} s",
            f"{fold.validation_time:.2f} s",
            f"{fold.test_time:.2f} s",
            f"{cpu:.2f} s",
            f"{fold.memory / 1000:.1f} MB",
            _score(fold, "validation_accuracy"),
            _score(fold, "test_accuracy"),
        )
    return table


def _score(fold: Fold, name: str) -> str:
    value = fold.scores.get(name)
    return "–" if value is None else f"{value:.3f}"
