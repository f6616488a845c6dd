"""Checks of a running server, and a canary: one small fold from end to end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from datarun_ext.cli.checks import Finding, fail, ok, warn
from datarun_ext.client import (
    Client,
    ClientError,
    NotConnected,
    NotFound,
    Priority,
    State,
)

CANARY_S = 60.0

ROWS = "x,y\n" + "".join(f"{k % 7},{'ab'[k % 2]}\n" for k in range(40))

MAJORITY = """\
import numpy as np


class Classifier:
    def fit(self, X, y):
        _, counts = np.unique(y, return_counts=True)
        self.shares = counts / counts.sum()

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))
"""


def check_server() -> Iterator[Finding]:
    """Check the server that a client would find, and its runners."""
    try:
        client = Client(timeout=10.0)
        health = client.health()
    except NotConnected:
        yield warn(
            "server",
            "none is running that could be asked for its runners",
            "Start one with `jupyter lab` or `jupyter datarun`, or set DATARUN_URL.",
        )
        return
    except ClientError as error:
        yield fail("server", str(error), "See the server's log.")
        return
    with client:
        yield ok("server", f"{client.url}, version {health.version}: {health.status}")
        for problem in health.problems:
            yield warn(problem.part, problem.message, problem.remedy)
        try:
            runners = [one for one in client.runners() if one.alive]
        except ClientError as error:
            yield fail("runners", str(error), "See the server's log.")
            return
        for runner in runners:
            message = (
                f"{runner.name}: {runner.busy} of {runner.slots} busy, queues "
                f"{','.join(runner.queues)}, sandbox {runner.sandbox}"
            )
            yield ok("runner", message)
        if not runners:
            remedy = "Start one with `datarun runner`; see the server's log for its own runner."
            yield fail("runners", "no runner is alive", remedy)


def check_canary() -> Finding:
    """Have a running server train one small fold, then delete it."""
    remedy = "See the server's log, and `datarun doctor` without --canary."
    try:
        with Client() as client:
            return _sing(client)
    except ClientError as error:
        return fail("canary", str(error), remedy)


def _sing(client: Client) -> Finding:
    begin = time.monotonic()
    dataset = client.datasets.create(
        f"canary {uuid.uuid4().hex[:12]}",
        {"canary.csv": ROWS},
        target_column="y",
        workflow_elements="classifier",
    )
    try:
        client.tasks.wait(client.datasets.split(dataset, 0.5), timeout=CANARY_S)
        submission = client.submissions.create(
            dataset,
            {"classifier.py": MAJORITY},
            cv=[(range(10), range(10, 20))],
            name="canary",
            priority=Priority.HIGH,
        )
        (fold,) = client.wait(submission, timeout=CANARY_S)
    finally:
        try:
            client.datasets.delete(dataset)
        except NotFound:
            pass
    seconds = time.monotonic() - begin
    if fold.state is State.TESTED:
        return ok("canary", f"a small fold was trained and tested in {seconds:.1f} s")
    return fail(
        "canary", f"the fold ended in {fold.reason}: {fold.detail}", "See the runner's log."
    )
