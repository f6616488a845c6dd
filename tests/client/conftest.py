from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from datarun_ext.cli.demo_models import iris_frame
from datarun_ext.cli.demo_server import DemoServer
from datarun_ext.client import Client, Dataset
from tests.client.faulty import FaultyServer

USER, PASSWORD = "ada", "correct horse"


@dataclass(frozen=True)
class Live:
    """A real server with its own Redis and runner, and a user."""

    server: DemoServer
    client: Client
    url: str
    user: str = USER
    password: str = PASSWORD


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    with DemoServer() as server:
        client = server.start()
        subprocess.run(
            [sys.executable, "-c", "from datarun_ext.cli import main; main()"]
            + ["user", "add", USER, "--superuser", "--password-stdin"],
            input=PASSWORD + "\n",
            text=True,
            env=server.environ(),
            check=True,
        )
        yield Live(server, client, client.url)


@pytest.fixture(scope="session")
def iris(live: Live) -> Dataset:
    dataset = live.client.datasets.create(
        "iris", iris_frame(), target_column="species", workflow_elements="classifier"
    )
    live.client.tasks.wait(live.client.datasets.split(dataset, 0.2), timeout=120)
    return live.client.datasets.get(dataset)


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.stop()


@pytest.fixture
def faulty_client(faulty: FaultyServer) -> Iterator[Client]:
    with Client(faulty.url, token="secret") as client:
        yield client
