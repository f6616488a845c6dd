"""``datarun doctor``: is everything there, and what to do if not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click
from rich.console import Console

from datarun_ext.cli import checks
from datarun_ext.cli.canary import check_canary, check_server
from datarun_ext.cli.checks import Finding, Level
from datarun_ext.cli.sandbox_check import check_sandbox
from datarun_ext.config import Settings
from datarun_ext.protocol import SandboxLevel

COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def findings(*, canary: bool) -> Iterator[Finding]:
    """Yield what each check finds, as it finds it."""
    yield checks.check_python()
    yield checks.check_packages()
    minimum = SandboxLevel.LIMITS
    try:
        settings = Settings.load()
    except ValueError as error:
        yield checks.fail("configuration", str(error), "See `datarun options`.")
    else:
        minimum = settings.minimum_level
        yield checks.ok("configuration", "can be read")
        yield checks.check_redis(settings)
        yield checks.check_database(settings)
        yield from checks.check_folders(settings)
    yield from check_sandbox(minimum, canary=canary)
    yield checks.check_server_extension()
    yield checks.check_labextension()
    yield from check_server()
    if canary:
        yield check_canary()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@click.option(
    "--canary",
    is_flag=True,
    help="Also let a hostile submission try the sandbox, and have the server train a small fold.",
)
def doctor(as_json: bool, canary: bool) -> None:
    """Check this installation; say what is wrong and what to do.

    The exit code is 1 if something does not work (FAIL), else 0.
    """
    found: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings(canary=canary):
        found.append(finding)
        if not as_json:
            colour = COLOURS[finding.level]
            console.print(f"[{colour}]{finding.level:<4}[/{colour}] ", end="")
            console.print(f"{finding.part}: {finding.message}", markup=False)
            if finding.remedy:
                console.print(f"     -> {finding.remedy}", markup=False)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in found], indent=2))
    sys.exit(any(finding.level is Level.FAIL for finding in found))
