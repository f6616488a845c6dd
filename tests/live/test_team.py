"""A team: PostgreSQL, a Redis of its own, two masters, and a runner that knows only HTTP."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from datarun_ext.services.children import redis_binary
from tests.live.conftest import LiveServer, free_port
from tests.live.samples import TREE, iris_csv
from tests.postgres import postgres

TOKEN = secrets.token_hex(16)


@pytest.fixture
def database_url() -> Iterator[str]:
    with postgres() as server:
        yield server.new_database()


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    url = f"redis://:secret@127.0.0.1:{port}/0"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", "secret", "--save", ""]
    process = subprocess.Popen(
        [redis_binary(), *options, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            redis.Redis.from_url(url).ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


def test_team(tmp_path: Path, database_url: str, broker_url: str) -> None:
    shared = {
        "DATARUN_DATABASE_URL": database_url,
        "DATARUN_BROKER_URL": broker_url,
        "DATARUN_RUNNER_TOKEN": TOKEN,
        "DR_WORKING_ENV": "PROD",
        "DATARUN_DATASET_DIR": str(tmp_path / "datasets"),
        "DATARUN_SUBMISSION_DIR": str(tmp_path / "submissions"),
    }
    masters = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        masters.append(LiveServer(tmp_path / name, base_url=f"/{name}/", **shared))
    first, second = masters
    subprocess.run(
        [sys.executable, "-c", "from datarun_ext.cli import main; main()", "db", "upgrade"],
        env=first.environ,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    runner = None
    try:
        for master in masters:
            master.start()
        runner = start_runner(tmp_path, second.url, broker_url)
        exercise(first, second)
    finally:
        if runner is not None:
            runner.send_signal(signal.SIGTERM)
            assert runner.wait(40) == 0
        for master in masters:
            master.stop()


def start_runner(folder: Path, master_url: str, broker_url: str) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if "DATARUN" not in name}
    environ |= {
        "DATARUN_BROKER_URL": broker_url,
        "DATARUN_MASTER_URL": master_url,
        "DATARUN_RUNNER_TOKEN": TOKEN,
        "DATARUN_CACHE_DIR": str(folder / "cache"),
        "DATARUN_SLOTS": "2",
    }
    with (folder / "runner.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "celery_app"], env=environ, stdout=log, stderr=log, cwd=folder
        )


def exercise(first: LiveServer, second: LiveServer) -> None:
    """What is asked of one master is seen through the other."""
    here, there = first.client(), second.client()
    dataset = here.datasets.create(
        "iris", iris_csv(), target_column="species", workflow_elements="classifier"
    )
    here.tasks.wait(here.datasets.split(dataset, 0.5), timeout=120)
    files = {"classifier.py": TREE}
    fold = here.folds.create(np.arange(50), np.arange(50, 75), dataset=dataset, files=files)
    more = [
        there.folds.create(np.arange(50), np.arange(50, 75), submission=fold.submission)
        for _ in range(5)
    ]
    # Each waits on the websocket of the master that did not take the folds in.
    assert {ended.state for ended in there.wait([fold], timeout=120)} == {"TESTED"}
    assert {ended.state for ended in here.wait(more, timeout=120)} == {"TESTED"}
    assert [runner.slots for runner in here.runners()] == [2]
    assert there.folds.predictions(fold).test is not None
