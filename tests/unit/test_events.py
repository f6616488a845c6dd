"""Everyone who watches sees everything that is theirs, once, in order; also from another master."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import delete

from datarun_ext.models import Event
from datarun_ext.services import events
from datarun_ext.services.children import redis_binary
from datarun_ext.services.database import Database
from datarun_ext.services.events import EventHub, Happening, LogText, record
from datarun_ext.services.principal import EVERYONE
from datarun_ext.services.relay import RedisRelay
from tests.unit.world import ALICE, BOB, ROOT


async def change(database: Database, owner: str = "alice", count: int = 1) -> None:
    def work(session: Any) -> None:
        for _ in range(count):
            record(session, at=1.0, kind="task", ref="x", owner=owner, data={})

    await database.write(work)


async def started(database: Database) -> EventHub:
    hub = EventHub(db=database)
    await hub.start()
    return hub


class Reader:
    """Collects what a watcher yields."""

    def __init__(self, hub: EventHub, who: Any = ROOT) -> None:
        self.hub = hub
        self.watcher = hub.watch(who)
        self.items: list[Happening | LogText] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for item in self.watcher:
            self.items.append(item)

    @property
    def seqs(self) -> list[int]:
        return [item.seq for item in self.items if isinstance(item, Happening)]

    async def wait(self, count: int) -> None:
        try:
            async with asyncio.timeout(30):
                while len(self.items) < count:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"saw {self.seqs} of {count}: {vars(self.hub)}") from None


async def test_in_order_and_only_ones_own(database: Database) -> None:
    hub = await started(database)
    alice, root = Reader(hub, ALICE), Reader(hub)
    for owner in ("alice", "bob", EVERYONE):
        await change(database, owner)
    hub.say(LogText(1, 1, "bob", "secret"))
    hub.say(LogText(1, 1, "alice", "hello"))
    await root.wait(5)
    await alice.wait(3)
    assert root.seqs == [1, 2, 3]
    assert alice.seqs == [1, 3]
    assert [item.text for item in alice.items if isinstance(item, LogText)] == ["hello"]
    hub.unwatch(root.watcher)
    await root.task
    assert hub.watchers == 1
    hub.close()
    await alice.task


async def test_many_writers_at_once(database: Database) -> None:
    hub = await started(database)
    reader = Reader(hub)
    await asyncio.gather(*(change(database, count=number % 3 + 1) for number in range(30)))
    await reader.wait(60)
    assert reader.seqs == sorted(set(reader.seqs))
    assert len(reader.seqs) == 60
    hub.close()


async def test_a_gap_is_filled_from_the_table(database: Database) -> None:
    hub = await started(database)
    reader = Reader(hub)

    def rolled_back(session: Any) -> None:
        record(session, at=1.0, kind="task", ref="x", owner="alice", data={})
        raise ValueError

    await change(database)
    with pytest.raises(ValueError):
        await database.write(rolled_back)  # on PostgreSQL its number is never given again
    await change(database, count=2)
    await reader.wait(3)
    assert reader.seqs == sorted(set(reader.seqs))
    hub.close()


async def test_replay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = await started(database)
    assert await hub.since(0, who=ROOT) == []
    assert await hub.since(7, who=ROOT) is None
    await change(database, count=5)
    await change(database, "bob")
    missed = await hub.since(2, who=ROOT)
    assert missed is not None
    assert [item.seq for item in missed] == [3, 4, 5, 6]
    assert [item.seq for item in await hub.since(2, who=BOB) or ()] == [6]
    assert await hub.since(6, who=ROOT) == []
    assert await hub.since(7, who=ROOT) is None  # a future that a restored backup forgot
    monkeypatch.setattr(events, "REPLAY_MAX", 3)
    assert await hub.since(1, who=ROOT) is None

    def prune(session: Any) -> None:
        session.execute(delete(Event).where(Event.seq < 5))

    await database.write(prune)
    assert await hub.since(3, who=ROOT) is None
    assert len(await hub.since(4, who=ROOT) or ()) == 2
    hub.close()


async def test_a_reader_that_is_too_slow(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BACKLOG_MAX", 3)
    hub = await started(database)
    watcher = hub.watch(ROOT)
    await change(database, count=10)
    seen = [item.seq async for item in watcher if isinstance(item, Happening)]
    assert seen == [1, 2, 3]
    assert watcher.overflowed
    # Text of a fold is only dropped: it is in the fold's log.
    talk = hub.watch(ROOT)
    for _ in range(10):
        hub.say(LogText(1, 1, "alice", "x"))
    assert not talk.overflowed
    hub.close()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "r.sock"
    server = subprocess.Popen(
        [redis_binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    url = f"unix://{socket}"
    with redis.Redis.from_url(url) as client:
        for _ in range(600):
            try:
                client.ping()
            except redis.RedisError:
                try:
                    server.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
            break
    yield url
    server.terminate()
    server.wait(20)


async def test_two_masters_tell_each_other(database_url: str, redis_url: str) -> None:
    masters = []
    for _ in range(2):
        database = Database(database_url)
        database.upgrade()
        hub = await started(database)
        relay = RedisRelay(nudge=hub.nudge)
        await relay.connect(redis_url)
        hub.relay = relay
        masters.append((database, hub, relay, Reader(hub)))
    (first, *_), (second, *_) = masters
    for _ in range(5):
        await asyncio.gather(change(first, count=2), change(second, count=2))
    for _, hub, relay, reader in masters:
        await reader.wait(20)
        assert reader.seqs == list(range(1, 21))
        hub.close()
        await relay.close()
    for database, *_ in masters:
        await asyncio.to_thread(database.close)


async def test_a_master_that_hears_nothing_catches_up(database_url: str, redis_url: str) -> None:
    """What was committed before the subscription stood is seen as soon as it does."""
    first, second = Database(database_url), Database(database_url)
    first.upgrade()
    hub = await started(second)
    reader = Reader(hub)
    await change(first, count=3)
    relay = RedisRelay(nudge=hub.nudge)
    await relay.connect(redis_url)
    await reader.wait(3)
    assert reader.seqs == [1, 2, 3]
    hub.close()
    await relay.close()
    for database in (first, second):
        await asyncio.to_thread(database.close)
