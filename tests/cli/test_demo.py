"""The demo, for real: what it shows, its exit codes, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import COMMAND

DEMO = [*COMMAND, "demo"]


def left_behind(folder: Path) -> list[str]:
    """Return the processes that know of a folder, by their command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found


@pytest.fixture
def temporary(environ: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Short: the path of a unix socket has at most 107 characters.
    folder = Path("/tmp") / f"dr{os.getpid()}-{time.monotonic_ns() % 10**6}"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def check_clean(folder: Path) -> None:
    end = time.monotonic() + 20
    while left_behind(folder) and time.monotonic() < end:
        time.sleep(0.2)
    assert left_behind(folder) == []
    assert list(folder.iterdir()) == []
    folder.rmdir()


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *words], capture_output=True, text=True, timeout=170)


def started(until: Callable[[], bool]) -> subprocess.Popen[str]:
    """Start a demo, and wait for something."""
    process = subprocess.Popen(
        DEMO,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell that runs the tests in the background has it ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while not until():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


def server_is_up(folder: Path) -> bool:
    return any(folder.glob("datarun-demo-*/run/jpserver-*.json"))


def runner_is_up(folder: Path) -> bool:
    return any("celery_app" in words for words in left_behind(folder))


def test_all_folds_are_tested_and_nothing_is_left(temporary: Path) -> None:
    answer = demo("--folds", "2")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    tested = re.findall(r"fold +(\d+) .*TESTED$", answer.stdout, re.MULTILINE)
    assert sorted(map(int, tested)) == list(range(1, 5))
    assert "4 of 4 folds TESTED" in answer.stdout
    assert len(re.findall(r"0\.\d\d\d +(?:0|1)\.\d\d\d *$|1\.000 +(?:0|1)\.\d\d\d *$",
                          answer.stdout, re.MULTILINE)) == 4  # fmt: skip
    check_clean(temporary)


@pytest.mark.parametrize(
    ("number", "code", "when"),
    [(signal.SIGTERM, 143, server_is_up), (signal.SIGINT, 130, runner_is_up)],
)
def test_a_signal_ends_everything(
    temporary: Path, number: signal.Signals, code: int, when: Callable[[Path], bool]
) -> None:
    process = started(lambda: when(temporary))
    process.send_signal(number)
    process.communicate(timeout=90)
    assert process.returncode == code
    check_clean(temporary)


def test_a_demo_that_is_killed_leaves_no_process(temporary: Path) -> None:
    process = started(lambda: runner_is_up(temporary))
    process.kill()
    process.communicate(timeout=90)
    end = time.monotonic() + 60
    while left_behind(temporary) and time.monotonic() < end:
        time.sleep(0.2)
    assert left_behind(temporary) == []
    subprocess.run(["rm", "-rf", str(temporary)], check=True)


def test_a_server_that_cannot_start_is_explained(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATARUN_SLOTS", "many")
    answer = demo()
    assert answer.returncode == 1
    assert "'server'" in answer.stderr
    assert "DATARUN_SLOTS" in answer.stderr
    assert "datarun doctor" in answer.stderr
    check_clean(temporary)


def test_folds_that_end_badly_are_the_exit_code(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing can be trained in a hundredth of a second.
    monkeypatch.setenv("DATARUN_SOFT_LIMIT_S", "0.01")
    monkeypatch.setenv("DATARUN_HARD_LIMIT_S", "0.01")
    answer = demo("--folds", "2")
    assert answer.returncode == 1
    assert "0 of 4 folds TESTED" in answer.stdout
    check_clean(temporary)
