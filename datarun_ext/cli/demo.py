"""``datarun demo``: the main job once, on this machine, leaving nothing behind."""

from __future__ import annotations

import signal
import sys
import time

import click
from rich.console import Console

from datarun_ext.cli.demo_models import MODELS, iris_frame
from datarun_ext.cli.demo_server import DemoFailed, DemoServer
from datarun_ext.cli.demo_view import LineView, LiveView, View, result_table
from datarun_ext.client import (
    Client,
    ClientError,
    CrossValidation,
    Dataset,
    Fold,
    State,
    Task,
    TaskFailed,
    WaitTimeout,
)

HELD_OUT = 0.2


@click.command()
@click.option("--folds", default=5, show_default=True, type=click.IntRange(2, 20))
@click.option("--timeout", default=300.0, show_default=True, help="Seconds for all folds.")
@click.option("--keep", is_flag=True, help="Keep the server's folder, with its log.")
def demo(folds: int, timeout: float, keep: bool) -> None:
    """Run the main job once, from dataset to predictions.

    Starts a private server with its own runner in a temporary folder, uploads iris, splits it,
    trains two models on five folds each, shows every fold's state as it changes, then times,
    memory and scores, and stops everything that it started. The exit code is 0 only if every
    fold is TESTED.
    """
    signal.signal(signal.SIGTERM, _end)
    console = Console(highlight=False)
    if not console.is_terminal:
        # Nobody's window: lines and tables need not be broken.
        console.width = 160
    try:
        with DemoServer(keep=keep) as server:
            try:
                ended = _run(server, console, folds, timeout)
                if keep:
                    console.print(f"Kept: {server.folder}", markup=False)
            except (DemoFailed, ClientError) as error:
                _explain(error, server)
                sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Stopped; nothing was left running.", err=True)
        sys.exit(130)
    if any(fold.state is not State.TESTED for fold in ended):
        sys.exit(1)


def _end(_signum: int, _frame: object) -> None:
    sys.exit(143)


def _run(server: DemoServer, console: Console, folds: int, timeout: float) -> list[Fold]:
    begin = time.monotonic()
    names: dict[int, str] = {}
    view: View = (LiveView if console.is_terminal else LineView)(console, names)
    view.say("Starting a private server: Redis, a runner, SQLite")
    with server.start() as client:
        health = client.health()
        view.say(f"Ready at {client.url}: {health.runners} runner, {health.slots} folds at once")
        datasets = _prepare(client, view)
        submitted = _submit(client, view, datasets, names, folds)
        with view:
            try:
                ended = client.wait(submitted, timeout, view.change)
            except WaitTimeout as error:
                raise DemoFailed("folds", str(error), "Give more time with --timeout.") from error
    console.print(result_table(ended, names))
    for fold in ended:
        if fold.state is State.ERROR:
            console.print(f"Fold {fold.id}: {fold.reason}: {fold.detail}", markup=False)
    tested = sum(fold.state is State.TESTED for fold in ended)
    seconds = time.monotonic() - begin
    console.print(f"{tested} of {len(ended)} folds TESTED in {seconds:.1f} s", markup=False)
    if tested < len(ended):
        click.echo(f"\nThe end of the server's log:\n{server.tail()}", err=True)
    return ended


def _prepare(client: Client, view: View) -> dict[str, Dataset]:
    """Upload the datasets and split them; return them by name."""
    frame = iris_frame()
    splits: dict[str, Task] = {}
    for model in MODELS:
        dataset = client.datasets.create(
            model.dataset,
            frame,
            target_column="species",
            workflow_elements=model.workflow_elements,
        )
        splits[model.dataset] = client.datasets.split(dataset, HELD_OUT)
    datasets: dict[str, Dataset] = {}
    for name, task in splits.items():
        try:
            client.tasks.wait(task, timeout=60)
        except (TaskFailed, WaitTimeout) as error:
            raise DemoFailed("split", str(error), "Run `datarun doctor`.") from error
        datasets[name] = client.datasets.get(name)
        rows = f"{datasets[name].n_train} rows to train, {datasets[name].n_test} to test"
        view.say(f"Dataset {name!r} uploaded and split: {rows}")
    return datasets


def _submit(
    client: Client, view: View, datasets: dict[str, Dataset], names: dict[int, str], folds: int
) -> list[Fold]:
    """Submit the models; return their folds."""
    submitted: list[Fold] = []
    for model in MODELS:
        submission = client.submissions.create(
            datasets[model.dataset],
            model.files,
            cv=CrossValidation(kind="stratified", n_splits=folds),
            name=model.name,
            priority=model.priority,
        )
        names[submission.id] = model.name
        submitted += client.folds.list(submission=submission)
        view.say(f"Submission {model.name!r}: {folds} folds, priority {model.priority}")
    return submitted


def _explain(error: DemoFailed | ClientError, server: DemoServer) -> None:
    part = error.part if isinstance(error, DemoFailed) else "client"
    remedy = error.remedy if isinstance(error, DemoFailed) else "Run `datarun doctor`."
    why = error.why if isinstance(error, DemoFailed) else str(error)
    click.echo(f"\nThe demo failed in its part '{part}': {why}", err=True)
    tail = server.tail()
    if tail:
        click.echo(f"\nThe end of the server's log:\n{tail}\n", err=True)
    click.echo(f"What to do: {remedy}", err=True)
