"""Waiting through cuts, deletions and time-outs."""

from __future__ import annotations

import pytest
from tornado.web import RequestHandler

from datarun_ext.client import Client, Deleted, Fold, State, WaitTimeout
from tests.client.faulty import FaultyServer, Socket


class Folds:
    """Answers for folds 1 and 2 of submission 9, by their present state."""

    def __init__(self) -> None:
        self.states = {1: "TODO", 2: "TODO"}

    async def answer(self, handler: RequestHandler) -> None:
        path = handler.request.path
        folds = [
            {"databoard_sf_id": ident, "databoard_s": 9, "state": state, "train_time": 1.5}
            for ident, state in self.states.items()
        ]
        handler.set_header("Content-Type", "application/json")
        if path == "/runapp/submissionfold/":
            import json

            handler.finish(json.dumps(folds))
            return
        ident = int(path.strip("/").rpartition("/")[2])
        known = [fold for fold in folds if fold["databoard_sf_id"] == ident]
        if known:
            handler.finish(known[0])
        else:
            handler.set_status(404)
            handler.finish({"detail": "Not found."})


@pytest.fixture
def folds(faulty: FaultyServer) -> Folds:
    folds = Folds()
    faulty.answer = folds.answer  # type: ignore[method-assign]
    return folds


def test_wait_is_fed_by_events_alone(
    faulty: FaultyServer, faulty_client: Client, folds: Folds
) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(
            1,
            {"databoard_sf_id": 1, "databoard_s": 9, "state": "TODO", "stage": "QUEUED"},
            {"databoard_sf_id": 2, "databoard_s": 9, "state": "TODO", "stage": "QUEUED"},
        )
        await socket.fold(2, 1, "TRAINED")
        await socket.fold(3, 77, "ERROR")
        await socket.fold(4, 1, "TESTED")
        folds.states = {1: "TESTED", 2: "ERROR"}
        await socket.fold(5, 2, "ERROR", reason="USER_ERROR", detail="ValueError: no")

    faulty.scripts.append(script)
    seen: list[tuple[int, str]] = []
    ended = faulty_client.wait(
        [1, 2], timeout=20, on_change=lambda fold: seen.append((fold.id, str(fold.state)))
    )
    assert seen == [(1, "TODO"), (2, "TODO"), (1, "TRAINED"), (1, "TESTED"), (2, "ERROR")]
    assert [(fold.id, fold.state) for fold in ended] == [(1, State.TESTED), (2, State.ERROR)]
    assert ended[0].train_time == 1.5
    # One look at the end, in one request for both; no polling.
    assert len(faulty.requests) == 1


def test_what_has_ended_long_ago_is_given_at_once(
    faulty: FaultyServer, faulty_client: Client, folds: Folds
) -> None:
    folds.states = {1: "TESTED", 2: "TESTED"}

    async def script(socket: Socket) -> None:
        await socket.hello(9)
        await socket.snapshot(9)

    faulty.scripts.append(script)
    seen: list[Fold] = []
    ended = faulty_client.wait([2, 1], timeout=20, on_change=seen.append)
    assert [fold.id for fold in ended] == [2, 1]
    assert [fold.train_time for fold in seen] == [1.5, 1.5]


def test_a_cut_while_waiting_misses_nothing(
    faulty: FaultyServer, faulty_client: Client, folds: Folds
) -> None:
    folds.states = {1: "TODO"}

    async def first(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(1, {"databoard_sf_id": 1, "databoard_s": 9, "state": "TODO"})
        await socket.fold(2, 1, "TRAINED")
        socket.cut()

    async def second(socket: Socket) -> None:
        folds.states = {1: "TESTED"}
        await socket.hello(4)
        await socket.fold(3, 1, "VALIDATED")
        await socket.fold(4, 1, "TESTED")

    faulty.scripts += [first, second]
    seen: list[str] = []
    faulty_client.wait(1, timeout=20, on_change=lambda fold: seen.append(str(fold.state)))
    assert seen == ["TODO", "TRAINED", "VALIDATED", "TESTED"]


def test_a_timeout_names_what_is_pending(
    faulty: FaultyServer, faulty_client: Client, folds: Folds
) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(
            1, {"databoard_sf_id": 1, "databoard_s": 9, "state": "TODO", "stage": "WAITING"}
        )

    faulty.scripts.append(script)
    with pytest.raises(WaitTimeout, match=r"fold 1 \(WAITING\)") as caught:
        faulty_client.wait(1, timeout=0.5)
    assert caught.value.pending == {"fold 1": "WAITING"}
    assert isinstance(caught.value, TimeoutError)


def test_a_deleted_fold_ends_the_wait(
    faulty: FaultyServer, faulty_client: Client, folds: Folds
) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(1, {"databoard_sf_id": 1, "databoard_s": 9, "state": "TODO"})
        await socket.send(type="event", seq=2, at=0.0, kind="fold", ref="1", data={"deleted": True})

    faulty.scripts.append(script)
    with pytest.raises(Deleted, match="Fold 1"):
        faulty_client.wait(1, timeout=20)


def test_an_unknown_fold_is_said(faulty: FaultyServer, faulty_client: Client, folds: Folds) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(1)

    faulty.scripts.append(script)
    with pytest.raises(Deleted, match="Fold 5"):
        faulty_client.wait(5, timeout=20)


def test_nothing_to_wait_for_returns(faulty: FaultyServer, faulty_client: Client) -> None:
    async def script(socket: Socket) -> None:
        await socket.hello(1)
        await socket.snapshot(1)

    faulty.scripts.append(script)
    assert faulty_client.wait([], timeout=20) == []
