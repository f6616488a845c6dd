from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datarun_ext.services.database import Database
from tests.postgres import Postgres, postgres
from tests.unit.world import World, settings_of


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.new_database()
    return f"sqlite:///{tmp_path / 'datarun.sqlite3'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with its tables."""
    found = Database(database_url)
    found.upgrade()
    yield found
    found.close()


@pytest.fixture
def world(database: Database, tmp_path: Path, jp_asyncio_loop: asyncio.AbstractEventLoop) -> World:
    """The services over a database, and somebody who uses them."""
    settings = settings_of(tmp_path, database_url=database.url)
    return jp_asyncio_loop.run_until_complete(World.start(database, settings))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"data_dir": str(tmp_path / "data"), "runtime_dir": str(tmp_path / "run")}
