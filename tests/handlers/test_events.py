"""The websocket: hello, snapshot or replay, then everything in order; for nobody else's eyes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClientConnection

from datarun_ext.protocol import FoldProgress
from datarun_ext.services import events
from datarun_ext.services.events import LogText
from datarun_ext.services.master import Master
from tests.conftest import Api, NewUser, basic
from tests.handlers.over_http import HttpRunner, split_dataset
from tests.handlers.things import created, dataset, fold

Connect = Callable[..., Awaitable[WebSocketClientConnection]]


@pytest.fixture
def connect(jp_ws_fetch: Any, api: Api) -> Connect:
    """Open the websocket of the events."""

    async def open_it(headers: dict[str, str] | None = None, **params: Any) -> Any:
        return await jp_ws_fetch("runapp/events/", headers=dict(headers or {}), params=params)

    return open_it


async def read(socket: WebSocketClientConnection) -> dict[str, Any]:
    text = await asyncio.wait_for(socket.read_message(), 30)
    assert text is not None, f"closed: {socket.close_code} {socket.close_reason}"
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


async def test_hello_snapshot_events(api: Api, connect: Connect) -> None:
    await created(api, "runapp/rawdata/", dataset())
    await created(api, "runapp/submissionfold/", fold(11))
    socket = await connect()
    hello = await read(socket)
    assert (hello["type"], hello["protocol"]) == ("hello", 1)
    snapshot = await read(socket)
    assert (snapshot["type"], snapshot["seq"]) == ("snapshot", hello["seq"])
    assert [item["databoard_sf_id"] for item in snapshot["folds"]] == [11]
    assert [item["name"] for item in snapshot["rawdata"]] == ["iris"]
    assert [item["databoard_s_id"] for item in snapshot["submissions"]] == [1]
    assert snapshot["runners"] == []

    await created(api, "runapp/submissionfold/", fold(12))
    event = await read(socket)
    assert set(event) == {"type", "seq", "at", "kind", "ref", "data"}
    assert (event["kind"], event["ref"]) == ("fold", "12")
    assert event["seq"] == hello["seq"] + 1
    assert event["data"]["state"] == "TODO"
    await api.fetch("DELETE", "runapp/submissionfold/12/")
    event = await read(socket)
    assert event["data"] == {"databoard_sf_id": 12, "deleted": True}
    socket.close()


async def test_replay_has_no_gap(api: Api, connect: Connect) -> None:
    await created(api, "runapp/rawdata/", dataset())
    for number in range(1, 6):
        await created(api, "runapp/submissionfold/", fold(number))
    socket = await connect(since=2)
    newest = (await read(socket))["seq"]
    seen = [(await read(socket))["seq"] for _ in range(newest - 2)]
    await created(api, "runapp/submissionfold/", fold(6))
    seen.append((await read(socket))["seq"])
    assert seen == list(range(3, newest + 2))
    # From the future, as after a restored backup: begin again.
    lost = await connect(since=newest + 1000)
    kinds = [(await read(lost))["type"] for _ in range(3)]
    assert kinds == ["hello", "resync", "snapshot"]
    socket.close()
    lost.close()


async def test_a_running_fold_is_followed(api: Api, connect: Connect, runner: HttpRunner) -> None:
    await split_dataset(api, runner)
    socket = await connect()
    await read(socket)
    await read(socket)
    await created(api, "runapp/submissionfold/", fold())
    job = await runner.take_fold()
    await runner.post("progress/fold", FoldProgress(fold_id=11, attempt=job.attempt, log="hi\n"))
    await runner.result(job)
    stages, seqs, logs = [], [], []
    while "TESTED" not in stages:
        item = await read(socket)
        if item["type"] == "log":
            logs.append(item)
            continue
        seqs.append(item["seq"])
        if item["kind"] == "fold":
            stages.append(item["data"]["stage"])
    assert stages == ["QUEUED", "DISPATCHED", "RUNNING", "TRAINED", "VALIDATED", "TESTED"]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert logs == [{"type": "log", "databoard_sf_id": 11, "attempt": job.attempt, "text": "hi\n"}]
    socket.close()


async def test_who_may_connect(api: Api, connect: Connect, new_user: NewUser) -> None:
    await new_user("alice")
    for headers in (
        {"Authorization": ""},
        {"Authorization": "token wrong"},
        basic("alice", "wrong"),
        {"Origin": "https://evil.example", **basic("alice")},
    ):
        with pytest.raises(HTTPClientError) as refused:
            await connect(headers)
        assert refused.value.code == 403, headers
    with pytest.raises(HTTPClientError) as refused:
        await connect({"Origin": "https://evil.example", "Authorization": "", "Cookie": "a=b"})
    assert refused.value.code == 403
    for since in ("x", "-1", "²", "9" * 30):
        with pytest.raises(HTTPClientError) as refused:
            await connect(since=since)
        assert refused.value.code == 400
    socket = await connect(basic("alice"))
    assert (await read(socket))["type"] == "hello"
    socket.close()


async def test_others_events_are_not_seen(
    api: Api, connect: Connect, new_user: NewUser, master: Master
) -> None:
    alice, bob = await new_user("alice"), await new_user("bob")
    await created(alice, "runapp/rawdata/", dataset())
    socket = await connect(basic("bob"))
    await read(socket)
    snapshot = await read(socket)
    assert (snapshot["rawdata"], snapshot["folds"], snapshot["submissions"]) == ([], [], [])
    await created(alice, "runapp/submissionfold/", fold())
    master.hub.say(LogText(11, 1, "alice", "alice's secret"))
    await created(bob, "runapp/rawdata/", dataset("bobs"))
    event = await read(socket)
    assert (event["kind"], event["data"]["name"]) == ("rawdata", "bobs")
    replayed = await connect(basic("bob"), since=0)
    await read(replayed)
    assert (await read(replayed))["data"]["name"] == "bobs"
    socket.close()
    replayed.close()


async def test_a_client_that_dies_is_forgotten(api: Api, connect: Connect, master: Master) -> None:
    sockets = [await connect() for _ in range(3)]
    for socket in sockets:
        await read(socket)
    while master.hub.watchers < 3:
        await asyncio.sleep(0.01)
    for socket in sockets:  # no closing handshake: the process is gone
        stream = socket.protocol.stream  # type: ignore[union-attr]
        stream.close()
    async with asyncio.timeout(30):
        while master.hub.watchers:
            await created(api, "runapp/upload/", {"name": "x", "size": 1})
            await created(api, "runapp/rawdata/", dataset(f"d{asyncio.get_running_loop().time()}"))
            await asyncio.sleep(0.01)


async def test_a_slow_reader_is_told_to_begin_again(
    api: Api, connect: Connect, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BACKLOG_MAX", 3)
    socket = await connect()
    await read(socket)
    await read(socket)
    (watcher,) = master.hub._watchers
    # All in one step of the loop, so that none of them is sent in between.
    last = master.hub._last
    for number in range(10):
        happening = events.Happening(last + number + 1, 0.0, "task", "x", "", {})
        watcher.offer(happening)
    seen = [await read(socket) for _ in range(4)]
    assert [item["type"] for item in seen] == ["event"] * 3 + ["resync"]
    assert await asyncio.wait_for(socket.read_message(), 30) is None
    assert socket.close_code == 1013
    again = await connect()
    assert [(await read(again))["type"] for _ in range(2)] == ["hello", "snapshot"]
    again.close()


async def test_messages_of_a_client_are_bounded_and_ignored(connect: Connect) -> None:
    socket = await connect()
    await read(socket)
    await read(socket)
    await socket.write_message("hello?")
    await socket.write_message("x" * 100_000)
    assert await asyncio.wait_for(socket.read_message(), 30) is None
