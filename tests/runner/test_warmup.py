"""What cannot be tried before the first fold costs speed, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOAD = "from celery_app.zygote.imports import import_modules; import_modules()(1); print('ready')"


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("", ""),
        ("import sys; sys.modules['sklearn.pipeline'] = None", "warming up failed"),
        ("import tempfile; tempfile.tempdir = '/proc/self'", "warming up failed"),
    ],
)
def test_a_zygote_is_ready_in_any_case(before: str, told: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", f"{before}\n{LOAD}"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "ready" in answer.stdout
    assert told in answer.stderr
    assert bool(told) == bool(answer.stderr)
