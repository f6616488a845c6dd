"""The command ``datarun``: try it, check it, manage users, the database and runners."""

from __future__ import annotations

import click

from datarun_ext.cli.lazy import LazyGroup

COMMANDS = {
    "demo": ("datarun_ext.cli.demo:demo", "Run the main job once, from dataset to predictions."),
    "doctor": ("datarun_ext.cli.doctor:doctor", "Check this installation; say what to do."),
    "user": ("datarun_ext.cli.users:user", "Add, list, change and delete users."),
    "db": ("datarun_ext.cli.database:db", "Bring the database up to date."),
    "runner": ("datarun_ext.cli.runner:runner", "Start a runner on this machine."),
    "runners": ("datarun_ext.cli.runners:runners", "Check a list of runners; print commands."),
    "options": ("datarun_ext.cli.options:options", "Show every configuration option."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="datarun", prog_name="datarun")
def main() -> None:
    """Train and test machine-learning submissions on cross-validation folds.

    The server itself is started with `jupyter lab` or, without JupyterLab, `jupyter datarun`.
    """
