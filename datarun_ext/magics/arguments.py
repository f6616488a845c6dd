"""What may stand behind ``%datarun``: every subcommand, its arguments, and what they mean."""

from __future__ import annotations

import argparse
import shlex
from typing import Any, NoReturn

from IPython.core.error import UsageError


class Parser(argparse.ArgumentParser):
    """Explains itself in the notebook instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        """Raise what IPython shows without a traceback."""
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raise instead of ending the process."""
        raise UsageError(message or "")


PRIORITIES = ("H", "L")


def parser() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and that of each subcommand."""
    top = Parser(prog="%datarun", add_help=False, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    made: dict[str, Parser] = {}

    def command(name: str, what: str, prog: str = "") -> Parser:
        made[name] = commands.add_parser(
            name,
            description=what,
            help=what,
            add_help=False,
            allow_abbrev=False,
            prog=prog or f"%datarun {name}",
        )
        return made[name]

    one = command("connect", "Use another server than the one that runs this notebook.")
    one.add_argument("url", nargs="?", help="address with base_url; without it, find one")
    one.add_argument("--token", default="", help="token of the Jupyter server")
    one.add_argument("--user", default="", help="a datarun user; the password is asked for")

    one = command("data", "Show the datasets, or the first rows of one.")
    one.add_argument("dataset", nargs="?")
    one.add_argument("--rows", type=int, default=10, help="how many rows (10)")

    one = command("upload", "Make a dataset of a DataFrame's name or a CSV file.")
    one.add_argument("source", help="name of a DataFrame in this notebook, or a path")
    one.add_argument("--name", help="of the dataset; by default the source's")
    one.add_argument("--target", help="column to predict")
    one.add_argument("--workflow", help='e.g. "feature_extractor, classifier"')
    one.add_argument("--split", type=_part, help="split at once; part of the test set")

    one = command("split", "Split a dataset into training and test set.")
    one.add_argument("dataset")
    one.add_argument("test", nargs="?", type=_part, help="fraction, or number of rows (0.2)")
    one.add_argument("--seed", type=int, default=42, help="same number, same split (42)")

    one = command("submit", "Submit this cell's code, or files, to a dataset.", "%%datarun submit")
    one.add_argument("dataset")
    one.add_argument("name", nargs="?", default="", help="of the submission, for people")
    one.add_argument(
        "--file", help="what the cell becomes, e.g. classifier.py; by default every file of the "
        "workflow"
    )  # fmt: skip
    one.add_argument("--path", help="without a cell: a file or a folder to submit")
    one.add_argument("--object", help="without a cell: name of an estimator in this notebook")
    one.add_argument("--cv", type=int, default=5, help="number of folds (5)")
    one.add_argument("--priority", choices=PRIORITIES, default="L", help="H goes first")
    one.add_argument("--memory", type=int, help="MB that a fold may use")
    one.add_argument("--time", type=float, help="seconds that a fold may run")
    one.add_argument(
        "--preflight", action="store_true", help="try it on a few rows first; store no failure"
    )
    one.add_argument("--wait", action="store_true", help="until all folds have ended")
    one.add_argument("-o", "--out", help="name of a variable for the submission")

    one = command("submissions", "Show the submissions, of one dataset or all.")
    one.add_argument("dataset", nargs="?")

    one = command("leaderboard", "Show which submission of a dataset is the best.")
    one.add_argument("dataset")
    one.add_argument("--by", help="score to sort by")

    for name, what in (
        ("folds", "Show the folds of a submission (the last one)."),
        ("scores", "Show the scores of a submission (the last one)."),
        ("show", "Show a submission live (the last one); also after a restart."),
        ("wait", "Wait until a submission (the last one) has ended."),
    ):
        command(name, what).add_argument("submission", nargs="?", help="id or name")
    for name, what in (
        ("log", "Show what a fold printed, and why it failed."),
        ("predict", "Return a fold's predictions as arrays."),
    ):
        command(name, what).add_argument("fold", type=int)
    one = command("cancel", "Stop a submission (the last one), or a fold.")
    one.add_argument("submission", nargs="?", help="id or name")
    one.add_argument("--fold", type=int, help="only this fold")
    one = command("rerun", "Train the failed folds of a submission (the last one) again.")
    one.add_argument("submission", nargs="?", help="id or name")
    one.add_argument("--all", action="store_true", help="not only the failed ones")
    one.add_argument("--fold", type=int, help="only this fold")
    one = command("debug", "Rebuild a failed fold here, and stand at its error.")
    one.add_argument("fold", type=int)
    one.add_argument("--no-pdb", action="store_true", help="only raise; %%debug goes there later")
    one.add_argument("--bundle", help="do not run: write data, code and script to this zip file")
    command("runners", "Show the runners.")
    command("doctor", "Say whether folds can be trained now, and what to do if not.")
    one = command("help", "Explain a command, or show them all.")
    one.add_argument("about", nargs="?", metavar="COMMAND")
    return top, made


def parse(line: str) -> argparse.Namespace:
    """Return the arguments of a line.

    Raises
    ------
    UsageError
        Naming what is wrong and how it is used.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        msg = f"{error} in: {line}"
        raise UsageError(msg) from error
    top, commands = parser()
    if words and words[0] not in commands:
        from difflib import get_close_matches

        close = get_close_matches(words[0], commands, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        msg = f"there is no command {words[0]!r}.{hint} Commands: {', '.join(commands)}."
        raise UsageError(msg)
    return top.parse_args(words or ["help"])


def help_text(about: str | None) -> str:
    """Return the help of a command, or a line on each of them."""
    _, commands = parser()
    if about is None:
        lines = [f"  {name:<12}{one.description}" for name, one in commands.items()]
        return "\n".join(
            ["%datarun COMMAND ...", *lines, "", "%datarun help COMMAND explains one."]
        )
    if about not in commands:
        msg = f"there is no command {about!r}. Commands: {', '.join(commands)}."
        raise UsageError(msg)
    return commands[about].format_help()


def flags(command: str) -> list[str]:
    """Return the flags of a command."""
    actions: Any = parser()[1][command]._actions
    return [flag for action in actions for flag in action.option_strings if flag[:2] == "--"]


def commands() -> list[str]:
    """Return the names of all commands."""
    return list(parser()[1])


def _part(text: str) -> float:
    value = float(text)
    return int(value) if value >= 1 and value.is_integer() else value
