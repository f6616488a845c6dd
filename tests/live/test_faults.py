"""What is killed, forgotten or cut off costs time and nothing else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import psutil
import pytest
import redis
import requests

from datarun_ext.client import Client, Fold
from tests.live.conftest import LiveServer, gone
from tests.live.samples import SLOW, TREE, iris_csv

N = 20


def prepared(client: Client, code: str, count: int = N) -> Sequence[Fold]:
    made = client.datasets.create(
        f"iris {time.time()}", iris_csv(), target_column="species", workflow_elements="classifier"
    )
    client.tasks.wait(client.datasets.split(made, 0.5))
    first = client.folds.create(
        np.arange(50), np.arange(50, 75), dataset=made, files={"classifier.py": code}
    )
    rest = [
        client.folds.create(np.arange(50), np.arange(50, 75), submission=first.submission)
        for _ in range(count - 1)
    ]
    return [first, *rest]


def commits(server: LiveServer, folds: Sequence[Fold]) -> Counter[str]:
    """How often each fold was committed, from the log of events."""
    with closing(sqlite3.connect(server.folder / "data" / "datarun.sqlite3")) as database:
        rows = database.execute("SELECT ref, data FROM event WHERE kind = 'fold'").fetchall()
    final = [ref for ref, data in rows if json.loads(data).get("stage") in ("TESTED", "ERROR")]
    counted = Counter(final)
    return Counter({str(fold.id): counted[str(fold.id)] for fold in folds})


def until_running(client: Client, folds: Sequence[Fold], timeout: float = 60) -> Fold:
    """Wait until a fold trains; of many, short ones: until the first of them has ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for fold in folds:
            now = client.folds.get(fold)
            if now.stage == "RUNNING" and client.folds.log(fold).log:
                return now
            if now.stage == "TESTED" and len(folds) > 1:
                return now
        time.sleep(0.05)
    raise AssertionError("no fold runs")


def all_tested(server: LiveServer, folds: Sequence[Fold], timeout: float = 150) -> None:
    with server.client() as client:
        ended = client.wait(folds, timeout=timeout)
        assert {fold.state for fold in ended} == {"TESTED"}, server.log()
    assert set(commits(server, folds).values()) == {1}


def test_kill_the_runner(own_server: LiveServer) -> None:
    client = own_server.client()
    folds = prepared(client, SLOW.format(seconds=0.3))
    until_running(client, folds)
    runner = own_server.runner()
    below = [runner, *runner.children(recursive=True)]
    assert len(below) > 3
    runner.send_signal(signal.SIGKILL)
    assert not gone(below), "processes survive their runner"
    all_tested(own_server, folds)


def test_kill_redis(own_server: LiveServer) -> None:
    client = own_server.client()
    folds = prepared(client, SLOW.format(seconds=0.2))
    until_running(client, folds)
    [server] = [child for child in own_server.children() if "redis-server" in child.name()]
    server.send_signal(signal.SIGKILL)
    all_tested(own_server, folds)


def test_redis_forgets(own_server: LiveServer) -> None:
    client = own_server.client()
    folds = prepared(client, SLOW.format(seconds=0.2))
    until_running(client, folds)
    [socket] = (own_server.folder / "run").glob("*/redis.sock")
    [shared] = (own_server.folder / "run").glob("pool-*.json")
    password = shared.read_text().split('"password": "')[1].split('"')[0]
    with redis.Redis(unix_socket_path=str(socket), password=password) as broker:
        broker.flushall()
    # Nothing tells the master: a message that nobody takes counts as lost after a while.
    all_tested(own_server, folds, timeout=170)


def test_kill_the_server(own_server: LiveServer) -> None:
    client = own_server.client()
    folds = prepared(client, SLOW.format(seconds=0.3))
    until_running(client, folds)
    below = own_server.children()
    own_server.kill()
    assert not gone(below), "processes survive their server"
    own_server.start()
    # Work that was left is taken up without a request for it.
    all_tested(own_server, folds)


def test_stop_and_start(own_server: LiveServer) -> None:
    client = own_server.client()
    folds = prepared(client, SLOW.format(seconds=0.3), 8)
    until_running(client, folds)
    below = own_server.children()
    own_server.stop()
    assert not gone(below)
    own_server.start()
    all_tested(own_server, folds)
    with own_server.client() as again:
        assert {again.folds.get(fold).detail for fold in folds} == {""}


def test_a_stopped_runner_comes_back_too_late(own_server: LiveServer) -> None:
    """A zombie's result changes nothing."""
    own_server.stop()
    own_server.options.update(
        DATARUN_LEASE_S="2", DATARUN_HEARTBEAT_S="0.5", DATARUN_RECONCILE_S="0.5"
    )
    own_server.start()
    client = own_server.client()
    [fold] = prepared(client, SLOW.format(seconds=1.5), 1)
    until_running(client, [fold])
    runner = own_server.runner()
    below = [runner, *runner.children(recursive=True)]
    for process in below:
        process.send_signal(signal.SIGSTOP)
    end = time.monotonic() + 60
    while client.folds.get(fold).stage == "RUNNING" and time.monotonic() < end:
        time.sleep(0.1)
    # The lease ran out: it is queued again, and nobody else is there to take it.
    assert client.folds.get(fold).stage in ("QUEUED", "DISPATCHED")
    for process in below:
        process.send_signal(signal.SIGCONT)
    all_tested(own_server, [fold])


def test_cancel(own_server: LiveServer) -> None:
    client = own_server.client()
    running, queued, *_ = prepared(client, SLOW.format(seconds=60), 6)
    running = until_running(client, [running])
    sleepers = {
        child.pid
        for child in own_server.runner().children(recursive=True)
        if child.status() == psutil.STATUS_SLEEPING
    }
    before = time.monotonic()
    assert client.folds.cancel(running).reason == "CANCELLED"
    assert time.monotonic() - before < 5
    end = time.monotonic() + 20
    while time.monotonic() < end:
        busy = sum(runner.busy for runner in client.runners())
        alive = {child.pid for child in own_server.runner().children(recursive=True)}
        if sleepers - alive:
            break
        time.sleep(0.1)
    assert sleepers - alive, "its process goes on"
    assert busy <= 2
    assert client.folds.cancel(queued).state == "ERROR"
    assert client.submissions.cancel(running.submission or 0) == 4


def test_upload_keeps_the_server_light(own_server: LiveServer) -> None:
    """A big upload is in memory nowhere, and holds nobody up."""
    client = own_server.client()
    size = 120_000_000
    assert own_server.process is not None
    process = psutil.Process(own_server.process.pid)
    client.datasets.list()
    before = process.memory_info().rss
    line = b",".join(b"%d" % k for k in range(40)) + b"\n"
    path = own_server.folder / "big.csv"
    path.write_bytes(line * (size // len(line)))
    upload = client.uploads.send(path)
    peak = max(process.memory_info().rss, getattr(process.memory_info(), "peak_wset", 0))
    assert upload.complete
    assert peak - before < 100_000_000


def test_cut_upload_leaves_nothing(own_server: LiveServer) -> None:
    client = own_server.client()
    client.datasets.list()
    body = {"name": "cut.csv", "size": 10_000}
    headers = {"Authorization": f"token {own_server.token}"}
    url = f"{own_server.url}runapp/upload/"
    made = requests.post(url, json=body, headers=headers, timeout=30).json()
    requests.put(
        f"{url}{made['id']}/?offset=0", data=b"x" * 4000, headers=headers, timeout=30
    ).raise_for_status()
    own_server.kill()
    own_server.start()
    shown = requests.get(f"{url}{made['id']}/", headers=headers, timeout=30).json()
    assert (shown["offset"], shown["complete"]) == (4000, False)
    rest = requests.put(
        f"{url}{made['id']}/?offset=4000", data=b"x" * 6000, headers=headers, timeout=30
    ).json()
    assert rest["complete"]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSEGV])
def test_a_fold_that_kills_itself(own_server: LiveServer, fault: signal.Signals) -> None:
    client = own_server.client()
    code = TREE.replace("self.forest.fit(X, y)", f"import os; os.kill(os.getpid(), {int(fault)})")
    [fold] = prepared(client, code, 1)
    [ended] = client.wait([fold], timeout=90)
    assert (ended.state, ended.reason) == ("ERROR", "CRASHED")
    assert ended.attempt == 1
    assert os.path.exists(f"/proc/{own_server.runner().pid}")
