from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from datarun_ext.cli.demo_models import iris_frame
from datarun_ext.client import Client, Dataset
from tests.client.faulty import FaultyServer
from tests.live.conftest import LiveServer

USER, PASSWORD = "ada", "correct horse"


@dataclass(frozen=True)
class Live:
    """The shared server, and a user of it."""

    server: LiveServer
    client: Client
    url: str
    user: str = USER
    password: str = PASSWORD


@pytest.fixture(scope="session")
def live(server: LiveServer) -> Iterator[Live]:
    server.add_user(USER, PASSWORD, "--superuser")
    with server.client() as client:
        yield Live(server, client, client.url)


@pytest.fixture(scope="session")
def iris(live: Live) -> Dataset:
    dataset = live.client.datasets.create(
        "iris of clients", iris_frame(), target_column="species", workflow_elements="classifier"
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
