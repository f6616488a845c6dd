"""The same as an ordinary user, and as a root whose interpreter everybody can reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHOSEN = " or ".join(
    (
        "well_behaved",
        "daemon",
        "bomb",
        "memory",
        "swallows",
        "file",
        "folder",
        "segfault",
        "_exit",
        "garbage",
        "signals",
        "root",
        "network",
        "canary",
    )
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ["user", "root"])
def test_as(who: str) -> None:
    if os.geteuid() != 0:
        # Then every other test of this folder has run as an ordinary user.
        assert os.environ.get("HOME")
        return
    words = CHOSEN.replace("_", " ").replace(" or ", "_or_")
    expression = words.replace(" ", " and ").replace("_or_", " or ")
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "tests.runner.as_user", who),
            *(sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"),
            *("-k", expression, "tests/runner/test_hostile.py", "tests/runner/test_sandbox.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr[-2000:]
    assert " passed" in answer.stdout
