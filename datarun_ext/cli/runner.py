"""``datarun runner``: a runner on this machine, from flags or the environment."""

from __future__ import annotations

import os
import sys

import click

LEVELS = click.Choice(["full", "landlock", "limits"])

VARIABLES = {
    "master": "DATARUN_MASTER_URL",
    "broker": "DATARUN_BROKER_URL",
    "token_file": "DATARUN_RUNNER_TOKEN_FILE",
    "slots": "DATARUN_SLOTS",
    "queues": "DATARUN_QUEUES",
    "hard_limit": "DATARUN_HARD_LIMIT_S",
    "soft_limit": "DATARUN_SOFT_LIMIT_S",
    "minimum_level": "DATARUN_MINIMUM_LEVEL",
    "cache_dir": "DATARUN_CACHE_DIR",
    "cache_mb": "DATARUN_CACHE_MB",
}
"""Option -> the variable by which `celery_app` is told."""


@click.command()
@click.option("--master", help="Address of the master, e.g. http://master:8888/.")
@click.option("--broker", help="The master's Celery broker, without a password in it if you can.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the master's runner_token.",
)
@click.option("--slots", type=click.IntRange(1), help="Folds at once. Default: one each core.")
@click.option("--queues", help="In order of precedence. Default: H,L,celery.")
@click.option("--hard-limit", type=click.FloatRange(0, min_open=True), help="Cap in seconds.")
@click.option("--soft-limit", type=click.FloatRange(0, min_open=True), help="Cap in seconds.")
@click.option("--minimum-level", type=LEVELS, help="Weakest sandbox to work with.")
@click.option("--cache-dir", type=click.Path(file_okay=False), help="Where data is kept.")
@click.option("--cache-mb", type=click.IntRange(1), help="How much of it.")
def runner(**given: object) -> None:
    """Start a runner on this machine; it ends on Ctrl-C or SIGTERM.

    What a flag does not say is taken from the environment (DATARUN_MASTER_URL,
    DATARUN_BROKER_URL, DATARUN_RUNNER_TOKEN, ...). The token has no flag, because a command line
    can be read by every user of the machine.
    """
    environ = dict(os.environ)
    for option, value in given.items():
        if value is not None:
            environ[VARIABLES[option]] = f"{value:g}" if isinstance(value, float) else str(value)
    sys.stdout.flush()
    # Becoming the runner, not starting it: signals and the exit code are then its own.
    os.execve(sys.executable, [sys.executable, "-m", "celery_app"], environ)
