from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from datarun_ext.cli import main
from datarun_ext.config import option_docs

COMMAND = [sys.executable, "-u", "-c", "from datarun_ext.cli import main; main()"]


@dataclass(frozen=True)
class Answer:
    """What a command has said."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have every command use folders of its own, whatever the developer has set."""
    for option in option_docs():
        for variable in option.variables:
            monkeypatch.delenv(variable, raising=False)
    for variable in ("DATARUN_URL", "DATARUN_TOKEN", "DATARUN_USER", "JPY_PARENT_PID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("DATARUN_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def datarun(environ: Path) -> Run:
    """Run a command as a person does, but in this process: a new one takes a second to import.

    An exception that a person would see as a traceback is the test's.
    """

    def run(*words: str, stdin: str = "") -> Answer:
        result = CliRunner().invoke(main, words, input=stdin, prog_name="datarun")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run
