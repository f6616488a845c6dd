"""The same as an ordinary user, and as a root whose interpreter everybody can reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHOSEN = {
    "user": "behaved or daemon or bomb or memory or swallows or folder or signals or root "
    "or network or canary",
    # Differs from the root of all other tests by the user that folds run as.
    "root": "behaved or daemonised or root or canary",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", [*CHOSEN])
def test_as(who: str) -> None:
    if os.geteuid() != 0:
        # Then every other test of this folder has run as an ordinary user.
        assert os.environ.get("HOME")
        return
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "tests.runner.as_user", who),
            *(sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"),
            *("-k", CHOSEN[who], "tests/runner/test_hostile.py", "tests/runner/test_sandbox.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr[-2000:]
    assert " passed" in answer.stdout
