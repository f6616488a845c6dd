from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datarun_ext.config import option_docs

Run = Callable[..., subprocess.CompletedProcess[str]]


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
    """Run a command as a person does."""

    def run(*words: str, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from datarun_ext.cli import main; main()", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
