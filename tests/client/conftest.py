from __future__ import annotations

from collections.abc import Iterator

import pytest

from datarun_ext.client import Client
from tests.client.faulty import FaultyServer


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.stop()


@pytest.fixture
def faulty_client(faulty: FaultyServer) -> Iterator[Client]:
    with Client(faulty.url, token="secret") as client:
        yield client
