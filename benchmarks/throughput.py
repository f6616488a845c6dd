"""200 tiny iris folds: from the first POST to the last TESTED event, against bare Celery tasks."""

from __future__ import annotations

import base64
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import requests
from servers import Server, server
from sklearn.datasets import load_iris

N = 200
CODE = """
from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.forest = RandomForestClassifier(n_estimators=1)

    def fit(self, X, y):
        self.forest.fit(X, y)

    def predict_proba(self, X):
        return self.forest.predict_proba(X)
"""
BARE = """
from celery import Celery

app = Celery("bare", broker="redis+socket://{socket}", backend="redis+socket://{socket}")
app.conf.worker_prefetch_multiplier = 1


@app.task(name="fold")
def fold(train, test):
    import numpy as np
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    X, y = load_iris(return_X_y=True)
    model = RandomForestClassifier(n_estimators=1).fit(X[train], y[train])
    return model.predict_proba(X).tolist()
"""


def pack(data: bytes) -> str:
    """Return base64(zlib(data))."""
    return base64.b64encode(zlib.compress(data)).decode()


def datarun(here: Server) -> tuple[float, float, list[float]]:
    """Return POSTs a second, folds a second, and the delays of the events in ms."""
    client = here.client()
    bunch = load_iris(as_frame=True)
    made = client.datasets.create(
        "iris", bunch.frame, target_column="target", workflow_elements="classifier"
    )
    client.tasks.wait(client.datasets.split(made, 0.5))
    warm = client.folds.create(
        np.arange(50), np.arange(50, 75), dataset=made, files={"classifier.py": CODE}
    )
    client.wait([warm])
    body = {
        "databoard_s_id": warm.submission,
        "train_is": pack(np.arange(50).tobytes()),
        "test_is": pack(np.arange(50, 75).tobytes()),
    }
    session = requests.Session()
    session.headers["Authorization"] = f"token {here.token}"
    delays: list[float] = []
    ended = threading.Event()
    listening = threading.Event()

    def listen() -> None:
        tested = 0
        for message in client.events():
            listening.set()
            if type(message).__name__ != "Event" or message.kind != "fold":
                continue
            delays.append(1000 * (time.time() - message.at))
            tested += message.data.get("stage") == "TESTED"
            if tested == N:
                break
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    listening.wait(10)
    begin = time.perf_counter()
    for _ in range(N):
        session.post(f"{here.url}runapp/submissionfold/", json=body).raise_for_status()
    posted = time.perf_counter()
    ended.wait(300)
    return N / (posted - begin), N / (time.perf_counter() - begin), delays


def bare() -> float:
    """Return folds a second of hand-wired Celery tasks without isolation, database or events."""
    from datarun_ext.services.children import redis_binary

    with tempfile.TemporaryDirectory() as name:
        path = f"{name}/redis.sock"
        Path(name, "bare.py").write_text(textwrap.dedent(BARE.replace("{socket}", path)))
        redis = subprocess.Popen(
            [redis_binary(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", name],
            stdout=subprocess.DEVNULL,
        )
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "bare", "worker", "-c", "2", "-l", "error"]
            + ["--without-gossip", "--without-mingle"],
            cwd=name,
            env=dict(os.environ, OMP_NUM_THREADS="1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            sys.path.insert(0, name)
            import bare as tasks  # type: ignore[import-not-found]

            indices = list(range(50)), list(range(50, 75))
            [task.get(timeout=60) for task in [tasks.fold.delay(*indices) for _ in range(4)]]
            begin = time.perf_counter()
            [task.get(timeout=60) for task in [tasks.fold.delay(*indices) for _ in range(N)]]
            return N / (time.perf_counter() - begin)
        finally:
            worker.terminate()
            worker.wait()
            redis.terminate()
            redis.wait()


def main() -> None:
    """Print the figures."""
    with server() as here:
        posts, folds, delays = datarun(here)
    peer = bare()
    p50, p95 = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
    print(f"datarun: {posts:.0f} POSTs/s, {folds:.1f} folds/s to the last TESTED event")
    print(f"websocket: p50 {p50:.1f} ms, p95 {p95:.1f} ms after the commit")
    print(f"bare Celery: {peer:.1f} folds/s; ratio {folds / peer:.2f}")


if __name__ == "__main__":
    main()
