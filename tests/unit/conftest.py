from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from datarun_ext.models import Base
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


def migrated(url: str) -> str:
    database = Database(url)
    database.upgrade()
    database.close()
    return url


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: Postgres) -> str:
    """One database for all tests: emptying it is far quicker than making another."""
    return migrated(postgres_server.new_database())


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "datarun.sqlite3"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with its tables, of each kind."""
    if request.param == "postgresql":
        found = Database(request.getfixturevalue("postgres_with_tables"))
        tables = ", ".join(f'"{name}"' for name in Base.metadata.tables)
        with found._engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    else:
        path = shutil.copy(request.getfixturevalue("sqlite_with_tables"), tmp_path)
        found = Database(f"sqlite:///{path}")
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
