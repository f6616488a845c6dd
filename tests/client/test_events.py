"""The event stream through cuts, gaps, foreign databases and refusals."""

from __future__ import annotations

import threading
import time

import pytest

from datarun_ext.client import (
    Client,
    Event,
    LogText,
    NotConnected,
    NotDatarun,
    Refused,
    Snapshot,
)
from tests.client.faulty import FaultyServer, Socket


def test_snapshot_then_events_then_log(faulty: FaultyServer, faulty_client: Client) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(7)
        await socket.snapshot(7, {"databoard_sf_id": 3, "databoard_s": 1, "state": "TODO"})
        await socket.fold(8, 3, "TRAINED", train_time=0.5)
        await socket.send(type="log", databoard_sf_id=3, attempt=2, text="epoch 1\n")

    faulty.scripts.append(script)
    with faulty_client.events() as stream:
        first = stream.next(10)
        assert isinstance(first, Snapshot)
        assert [fold.id for fold in first.folds] == [3]
        second = stream.next(10)
        assert isinstance(second, Event)
        assert (second.seq, second.kind, second.data["state"]) == (8, "fold", "TRAINED")
        assert stream.next(10) == LogText(fold=3, attempt=2, text="epoch 1\n")
        assert stream.seq == 8
        assert faulty.headers[0]["Authorization"] == "token secret"


def test_a_cut_is_resumed_after_the_last_event(faulty: FaultyServer, faulty_client: Client) -> None:
    async def first(socket: Socket) -> None:
        await socket.hello(5)
        await socket.snapshot(5)
        await socket.fold(6, 1, "TRAINED")
        socket.cut()

    async def second(socket: Socket) -> None:
        await socket.hello(8)
        await socket.fold(7, 1, "VALIDATED")
        await socket.fold(8, 1, "TESTED")

    faulty.scripts += [first, second]
    with faulty_client.events() as stream:
        messages = [stream.next(20) for _ in range(4)]
    assert [getattr(message, "seq", None) for message in messages] == [5, 6, 7, 8]
    assert faulty.asked == ["", "6"]


def test_resync_brings_a_new_snapshot(faulty: FaultyServer, faulty_client: Client) -> None:
    async def behind(socket: Socket) -> None:
        await socket.hello(900)
        await socket.send(type="resync", seq=900)

    async def fresh(socket: Socket) -> None:
        await socket.hello(900)
        await socket.snapshot(900)

    faulty.scripts += [behind, fresh]
    with faulty_client.events(since=3) as stream:
        message = stream.next(20)
    assert isinstance(message, Snapshot)
    assert message.seq == 900
    assert faulty.asked == ["3", ""]


def test_a_younger_log_is_another_database(faulty: FaultyServer, faulty_client: Client) -> None:
    async def other(socket: Socket) -> None:
        await socket.hello(2)

    async def fresh(socket: Socket) -> None:
        await socket.hello(2)
        await socket.snapshot(2)

    faulty.scripts += [other, fresh]
    with faulty_client.events(since=50) as stream:
        assert isinstance(stream.next(20), Snapshot)
    assert faulty.asked == ["50", ""]


def test_nothing_comes_gives_none_in_time(faulty: FaultyServer, faulty_client: Client) -> None:
    async def silent(socket: Socket) -> None:
        await socket.hello(1)

    faulty.scripts.append(silent)
    with faulty_client.events(since=1) as stream:
        assert stream.next(0.3) is None
        assert stream.connected


def test_closing_from_another_thread_ends_the_iteration(
    faulty: FaultyServer, faulty_client: Client
) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(1)

    faulty.scripts.append(script)
    stream = faulty_client.events()
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.extend(stream))
    thread.start()
    end = time.monotonic() + 10
    while not seen and time.monotonic() < end:
        time.sleep(0.02)
    stream.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(seen) == 1


def test_close_code_4403_is_a_refusal(faulty: FaultyServer, faulty_client: Client) -> None:
    async def refuse(socket: Socket) -> None:
        socket.close(4403, "no")

    faulty.scripts.append(refuse)
    with faulty_client.events() as stream, pytest.raises(Refused):
        stream.next(10)


def test_nobody_there_is_said_at_once() -> None:
    client = Client("http://127.0.0.1:9/", token="x")
    with client.events() as stream, pytest.raises(NotConnected, match="127.0.0.1:9"):
        stream.next(30)


def test_a_server_without_datarun_is_named(faulty: FaultyServer) -> None:
    with (
        Client(faulty.url + "elsewhere/", token="x") as client,
        client.events() as stream,
        pytest.raises(NotDatarun, match="no events of datarun"),
    ):
        stream.next(10)


def test_another_protocol_warns(faulty: FaultyServer, faulty_client: Client) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1, protocol=99)
        await socket.snapshot(1)

    faulty.scripts.append(script)
    with faulty_client.events() as stream, pytest.warns(UserWarning, match="protocol 99"):
        stream.next(10)
