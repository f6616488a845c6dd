"""What the dispatcher does while the broker is away."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from datarun_ext.models import Event
from datarun_ext.services import dispatch
from datarun_ext.services.children import redis_binary
from datarun_ext.services.dispatch import Dispatcher, Publisher
from tests.unit.world import ALICE, World


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BACKOFF_S", (0.1,))


@contextmanager
def broker(socket: Path) -> Iterator[None]:
    server = subprocess.Popen(
        [redis_binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=socket.parent,
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()
        socket.unlink(missing_ok=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def events(world: World) -> int:
    query = select(func.count()).select_from(Event)
    return await world.db.read(lambda session: session.scalar(query) or 0)


async def test_a_broker_that_is_away(world: World, tmp_path: Path) -> None:
    publisher = Publisher()
    dispatcher = Dispatcher(db=world.db, settings=world.settings, publisher=publisher)
    socket = tmp_path / "s"
    await world.new_fold(1)
    before = await events(world)
    work = asyncio.create_task(dispatcher.run())
    await until(lambda: "no broker yet" in dispatcher.broker_error)
    assert await events(world) == before  # nothing was taken for nobody
    await publisher.connect(f"redis+socket://{socket}")
    dispatcher.broker_changed()
    await until(lambda: bool(dispatcher.broker_error))
    taken_once = await events(world)
    assert taken_once == before + 2  # it could not be known: taken, and given back
    probes = 0
    probe = publisher.probe

    async def counted() -> None:
        nonlocal probes
        probes += 1
        await probe()

    publisher.probe = counted
    await until(lambda: probes >= 3)
    assert await events(world) == taken_once
    assert dispatcher.broker_error
    with broker(socket):
        await until(lambda: not dispatcher.broker_error)
        async with asyncio.timeout(60):
            while (await world.fold(1)).stage != "DISPATCHED":
                await asyncio.sleep(0.02)
        assert (await world.fold(1)).tries == 1
    work.cancel()
    await asyncio.wait([work])
    publisher.close()


async def test_a_broker_that_is_back_is_noticed_without_work(world: World, tmp_path: Path) -> None:
    publisher = Publisher()
    dispatcher = Dispatcher(db=world.db, settings=world.settings, publisher=publisher)
    await publisher.connect(f"redis+socket://{tmp_path / 's'}")
    await world.new_fold(1)
    work = asyncio.create_task(dispatcher.run())
    await until(lambda: bool(dispatcher.broker_error))
    await world.folds.delete(who=ALICE, fold_id=1)
    with broker(tmp_path / "s"):
        await until(lambda: not dispatcher.broker_error)
    work.cancel()
    await asyncio.wait([work])
    publisher.close()
