"""Files of a submission stand as long as its row, also when nobody knows whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from datarun_ext.errors import NoSpace, Unavailable
from datarun_ext.models import Submission
from tests.unit.world import World


@contextmanager
def fault_at_commit(world: World, reason: str, *, committed: bool) -> Iterator[None]:
    """Let the next commit fail, before or after the database has done it."""

    def fail(connection: Any) -> None:
        event.remove(world.db._engine, "commit", fail)
        if committed:
            connection.connection.dbapi_connection.commit()
        else:
            connection.connection.dbapi_connection.rollback()
        raise OperationalError("COMMIT", {}, Exception(reason))

    event.listen(world.db._engine, "commit", fail)
    yield


def places(world: World) -> list[Path]:
    return [path for path in world.settings.submission_dir.iterdir() if path.is_dir()]


async def files_of(world: World) -> list[Path]:
    def work(session: Session) -> list[Path]:
        return [Path(file.path) for item in session.query(Submission).all() for file in item.files]

    return await world.db.read(work)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_connection_that_breaks_at_commit(world: World, committed: bool) -> None:
    with (
        fault_at_commit(world, "server closed the connection", committed=committed),
        pytest.raises(Unavailable),
    ):
        await world.new_fold(1)
    found = await files_of(world)
    assert len(found) == committed
    assert len(places(world)) == 1  # whoever looks now might look too early
    await world.submit.collect()
    assert len(places(world)) == committed
    assert all(path.is_file() for path in found)
    await world.submit.collect()
    assert len(places(world)) == committed


async def test_a_full_disk_at_commit_leaves_nothing(world: World) -> None:
    with (
        fault_at_commit(world, "database or disk is full", committed=False),
        pytest.raises(NoSpace),
    ):
        await world.new_fold(1)
    assert await files_of(world) == []
    assert places(world) == []
