"""A real runner between a real Redis and a real HTTP server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datarun_ext.protocol import TASK_FOLD, FoldJob, Phase, Reason

from .data import CLASSIFIER, fold_job
from .live import RunnerProcess, alive, broker, descendants, publisher
from .master_server import TOKEN, Master, serving

SLEEPER = CLASSIFIER.replace("self.model = ", "import time; time.sleep(300); self.model = ")


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def master() -> Iterator[Master]:
    with serving() as master:
        yield master


Start = Callable[..., RunnerProcess]


@pytest.fixture
def start(master: Master, broker_url: str, tmp_path: Path) -> Iterator[Start]:
    runners: list[RunnerProcess] = []

    def start(**variables: str) -> RunnerProcess:
        runners.append(RunnerProcess(master, broker_url, tmp_path, **variables))
        return runners[-1]

    yield start
    for runner in runners:
        runner.kill()


@pytest.fixture
def send(broker_url: str) -> Iterator[Callable[[FoldJob, str], None]]:
    app = publisher(broker_url)

    def send(job: FoldJob, queue: str) -> None:
        app.send_task(TASK_FOLD, args=(job.fold_id, job.attempt), queue=queue)

    yield send
    with app.connection_for_write() as connection:
        app.control.purge(connection)
    app.close()


Send = Callable[[FoldJob, str], None]


def number(job: FoldJob, fold_id: int) -> FoldJob:
    return job.model_copy(update={"fold_id": fold_id})


def test_folds_are_run_high_before_low_and_a_runner_ends_quickly(
    master: Master, start: Start, send: Send, tmp_path: Path
) -> None:
    job = fold_job(tmp_path, {"classifier.py": CLASSIFIER})
    for fold_id in range(1, 9):
        master.jobs[fold_id] = number(job, fold_id)
        send(number(job, fold_id), "H" if fold_id > 4 else "L")
    runner = start(DATARUN_SLOTS="1")
    master.wait_for(lambda: len(master.outcomes) == 8, 90)
    assert [outcome.reason for outcome in master.outcomes] == [None] * 8, master.outcomes[0]
    order = [outcome.fold_id for outcome in master.outcomes]
    assert order == [5, 6, 7, 8, 1, 2, 3, 4]
    assert len(set(master.predictions)) == 1
    assert set(master.outcomes[0].measures) == set(Phase)

    (registration,) = master.registrations
    assert registration.pid == runner.process.pid
    assert registration.slots == 1
    assert registration.queues == ("H", "L", "celery")
    assert {"python", "numpy", "scikit-learn"} < set(registration.versions)

    below = descendants(runner.process.pid)
    assert below
    for pid in (runner.process.pid, *below):
        environ = _environ(pid)
        assert TOKEN.encode() not in environ
        assert b"redis+socket" not in environ
    begin = time.monotonic()
    assert runner.terminate() == 0
    assert time.monotonic() - begin < 5
    assert not [pid for pid in below if alive(pid)]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_running_folds_are_given_back_at_the_end(
    master: Master, start: Start, send: Send, tmp_path: Path
) -> None:
    job = fold_job(tmp_path, {"classifier.py": SLEEPER})
    master.jobs[7] = job
    runner = start()
    runner.wait_ready()
    send(job, "H")
    master.wait_for(lambda: "POST claim/fold/" in master.requests)
    time.sleep(0.5)
    assert runner.terminate() == 0
    (outcome,) = master.outcomes
    assert outcome.reason is Reason.RUNNER_STOPPED
    assert outcome.detail == "runner shut down"


def test_a_runner_gets_over_a_forgetful_master_and_a_dead_zygote(
    master: Master, start: Start, send: Send, tmp_path: Path
) -> None:
    master.heartbeat_s = 0.2
    runner = start()
    runner.wait_ready()
    master.wait_for(lambda: master.beats > 1)
    master.runner_id = 99
    master.wait_for(lambda: len(master.registrations) == 2)
    beats = master.beats
    master.wait_for(lambda: master.beats > beats + 2)
    assert len(master.registrations) == 2

    job = fold_job(tmp_path, {"classifier.py": CLASSIFIER})
    master.jobs[7] = job
    (warden,) = [pid for pid in descendants(runner.process.pid) if _is_warden(pid)]
    os.kill(warden, signal.SIGKILL)
    send(job, "H")
    master.wait_for(lambda: master.outcomes, 90)
    assert master.outcomes[0].reason is None, master.outcomes
    assert "starting another one" in runner.text()


def _is_warden(pid: int) -> bool:
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    started = [Path(f"/proc/{name}/cmdline").read_bytes() for name in (pid, parent)]
    return [b"celery_app.zygote" in command for command in started] == [True, False]


def test_a_refused_runner_says_why_and_ends(master: Master, start: Start) -> None:
    master.fenced = True
    runner = start()
    assert runner.process.wait(60) == 1
    assert "Protocol 1 meets 2: install the same version." in runner.text()
    assert "Traceback" not in runner.text()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DATARUN_MASTER_URL": ""}, "DATARUN_MASTER_URL is not set; set it to a URL"),
        ({"DATARUN_RUNNER_TOKEN": ""}, "The runner has no token; set DATARUN_RUNNER_TOKEN"),
        ({"DATARUN_SLOTS": "many"}, "DATARUN_SLOTS: 'many' cannot be used; it must be a whole"),
        ({"DATARUN_BROKER_URL": "s3://x:secret@y"}, "DATARUN_BROKER_URL: its value cannot be"),
    ],
)
def test_a_wrong_configuration_is_told(
    start: Start, variables: dict[str, str], message: str
) -> None:
    runner = start(**variables)
    assert runner.process.wait(60) == 1
    assert message in runner.text()
    assert "secret" not in runner.text()


def test_a_killed_runner_takes_everything_along(
    master: Master, start: Start, send: Send, tmp_path: Path
) -> None:
    job = fold_job(tmp_path, {"classifier.py": SLEEPER})
    master.jobs[7] = job
    runner = start()
    runner.wait_ready()
    send(job, "H")
    master.wait_for(lambda: "POST claim/fold/" in master.requests)
    time.sleep(0.5)
    below = descendants(runner.process.pid)
    runner.process.kill()
    runner.process.wait()
    deadline = time.monotonic() + 20
    while left := [pid for pid in below if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_runner_ends_with_its_parent(master: Master, broker_url: str, tmp_path: Path) -> None:
    script = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "celery_app", "--die-with-parent"])
print(child.pid, flush=True)
time.sleep(300)
"""
    environ = {
        **os.environ,
        "DATARUN_BROKER_URL": broker_url,
        "DATARUN_MASTER_URL": master.url,
        "DATARUN_RUNNER_TOKEN": TOKEN,
        "DATARUN_CACHE_DIR": str(tmp_path / "cache"),
        "DATARUN_SLOTS": "1",
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    master.wait_for(lambda: master.registrations, 60)
    below = [pid, *descendants(pid)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while left := [pid for pid in below if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
