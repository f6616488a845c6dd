"""Completion behind ``%datarun``: subcommands, flags, datasets and submissions.

The names come from what the session has last seen; nothing is asked over the network while a
person types.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from datarun_ext.magics.arguments import PRIORITIES, commands, flags

LINE = re.compile(r"^%{1,2}datarun\b(.*)$", re.DOTALL)
TAKES_DATASET = ("data", "split", "submit", "submissions", "leaderboard")

Names = Callable[[], list[str]]


def complete(line: str, datasets: Names) -> list[str]:
    """Return what may follow at the end of a line.

    Parameters
    ----------
    line : str
        From its beginning to the cursor.
    datasets : callable
        Returns the names of the datasets that are known.
    """
    found = LINE.match(line.rpartition("\n")[2].lstrip())
    if found is None:
        return []
    words = found.group(1).split()
    word = "" if not words or found.group(1).endswith((" ", "\t")) else words[-1]
    before = words[: len(words) - bool(word)]
    return [one for one in _candidates(before, datasets) if one.startswith(word)]


def _candidates(before: list[str], datasets: Names) -> list[str]:
    if not before or before[0] == "help":
        return commands()
    command, *arguments = before
    if command not in commands():
        return []
    if arguments and arguments[-1] == "--priority":
        return list(PRIORITIES)
    if arguments and arguments[-1] == "--file":
        return ["classifier.py", "regressor.py", "feature_extractor.py", "estimator.py"]
    names = datasets() if command in TAKES_DATASET and not arguments else []
    return [_quoted(name) for name in names] + flags(command)


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def matcher(datasets: Names) -> Callable[[Any], dict[str, Any]]:
    """Return what IPython's completer asks."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def datarun_matcher(context: Any) -> dict[str, Any]:
        line = context.full_text[: _offset(context)]
        found = complete(line, datasets)
        return {
            "completions": [SimpleCompletion(text=text, type="param") for text in found],
            "suppress": bool(found),
        }

    made: Callable[[Any], dict[str, Any]] = datarun_matcher
    return made


def _offset(context: Any) -> int:
    lines = context.full_text.split("\n")
    before = sum(len(line) + 1 for line in lines[: context.cursor_line])
    return before + int(context.cursor_position)
