"""``datarun runners``: the list of runners as datarun 0.4 had it, checked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from datarun_ext.protocol import QUEUES


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerLine:
    """One line of a list of runners: ``address concurrency queues hard_s soft_s``."""

    address: str
    slots: int
    queues: tuple[str, ...]
    hard_s: float
    soft_s: float

    def command(self) -> str:
        """Return the command that starts this runner on its machine."""
        words = [
            "datarun",
            "runner",
            f"--slots={self.slots}",
            f"--queues={','.join(self.queues)}",
            f"--hard-limit={self.hard_s:g}",
            f"--soft-limit={self.soft_s:g}",
        ]
        return shlex.join(words)


def parse_runners(text: str) -> Iterator[RunnerLine]:
    """Yield the runners of a list; the last line may lack its newline.

    Raises
    ------
    ValueError
        Naming the line, what is wrong with it, and how it should look.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            yield _parse(words)
        except ValueError as error:
            msg = (
                f"line {number}, {line.strip()!r}: {error}. A line is `address concurrency queues "
                "hard_limit_s soft_limit_s`, e.g. `134.158.75.112 2 L,celery 360 300`."
            )
            raise ValueError(msg) from error


def _parse(words: list[str]) -> RunnerLine:
    if len(words) != 5:
        msg = f"{len(words)} words instead of 5"
        raise ValueError(msg)
    address, slots, queues, hard, soft = words
    if address.startswith("-"):
        msg = f"{address} is no address"
        raise ValueError(msg)
    if not slots.isascii() or not slots.isdigit() or int(slots) < 1:
        msg = f"the concurrency {slots} is no positive whole number"
        raise ValueError(msg)
    names = tuple(queues.split(","))
    unknown = [name for name in names if name not in QUEUES]
    if unknown:
        msg = f"the queue {unknown[0]!r} is none of {', '.join(QUEUES)}"
        raise ValueError(msg)
    hard_s, soft_s = float(hard), float(soft)
    if not 0 < soft_s <= hard_s < float("inf"):
        msg = f"the soft limit {soft} must be above 0 and at most the hard limit {hard}"
        raise ValueError(msg)
    return RunnerLine(address=address, slots=int(slots), queues=names, hard_s=hard_s, soft_s=soft_s)


@click.command()
@click.argument("list_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def runners(list_file: Path) -> None:
    """Check a list of runners and print the command that starts each on its machine.

    Every queue (H, L, celery) should be served by at least one of them.
    """
    try:
        lines = list(parse_runners(list_file.read_text()))
    except (ValueError, UnicodeDecodeError) as error:
        msg = f"{list_file}: {error}"
        raise click.ClickException(msg) from error
    for line in lines:
        click.echo(f"{line.address}\t{line.command()}")
    missing = [q for q in QUEUES if all(q not in line.queues for line in lines)]
    if missing:
        msg = (
            f"{list_file}: no runner serves the queue {', '.join(missing)}, so what is sent there "
            "would wait for ever. Add it to a line."
        )
        raise click.ClickException(msg)
