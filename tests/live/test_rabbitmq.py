"""RabbitMQ as the broker of a team, as datarun 0.4 had it."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from tests.live.conftest import LiveServer
from tests.live.samples import TREE, iris_csv
from tests.live.test_team import TOKEN, start_runner
from tests.rabbitmq import rabbitmq


def test_folds_over_rabbitmq(tmp_path: Path) -> None:
    with rabbitmq() as broker_url:
        server = LiveServer(
            tmp_path, DATARUN_BROKER_URL=broker_url, DATARUN_RUNNER_TOKEN=TOKEN
        ).start()
        runner = start_runner(tmp_path, server.url, broker_url)
        try:
            client = server.client()
            made = client.datasets.create(
                "iris", iris_csv(), target_column="species", workflow_elements="classifier"
            )
            client.tasks.wait(client.datasets.split(made, 0.5), timeout=120)
            first = client.folds.create(
                np.arange(50), np.arange(50, 75), dataset=made, files={"classifier.py": TREE}
            )
            more = [
                client.folds.create(
                    np.arange(50), np.arange(50, 75), submission=first.submission, priority=priority
                )
                for priority in ("H", "L", "H", "L")
            ]
            ended = client.wait([first, *more], timeout=120)
            assert {fold.state for fold in ended} == {"TESTED"}, server.log()
        finally:
            runner.send_signal(signal.SIGTERM)
            code = runner.wait(40)
            server.stop()
        assert code == 0, (tmp_path / "runner.log").read_text()
