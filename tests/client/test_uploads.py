"""Big files over a connection that breaks."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tornado.web import RequestHandler

from datarun_ext.client import Client, ClientError, Unavailable
from datarun_ext.client.uploads import PART
from tests.client.faulty import FaultyServer


class Receiver:
    """Keeps what arrives; loses the connection after `cut_at` bytes once."""

    def __init__(self, *, lose: set[int]) -> None:
        self.data = b""
        self.size = 0
        self.sha256 = ""
        self.lose = lose
        self.stuck = False

    async def answer(self, handler: RequestHandler) -> None:
        request = handler.request
        if request.method == "POST":
            import json

            asked = json.loads(request.body)
            self.size, self.sha256 = asked["size"], asked["sha256"]
        if request.method == "PUT":
            assert int(handler.get_query_argument("offset")) == len(self.data)
            part = len(self.data) // PART
            if self.stuck:
                handler.set_status(503)
                handler.finish({"detail": "disk away"})
                return
            if part in self.lose:
                self.lose.remove(part)
                # Half of the part arrived before the connection broke.
                self.data += request.body[: PART // 2]
                request.connection.stream.close()  # type: ignore[union-attr]
                handler._finished = True
                return
            self.data += request.body
        complete = len(self.data) == self.size
        answer = {"id": "u1", "name": "big.csv", "size": self.size, "offset": len(self.data)}
        handler.finish({**answer, "complete": complete, "sha256": self.sha256})


def test_a_broken_connection_is_resumed(
    faulty: FaultyServer, faulty_client: Client, tmp_path: Path
) -> None:
    receiver = Receiver(lose={0, 1})
    faulty.answer = receiver.answer  # type: ignore[method-assign]
    path = tmp_path / "big.csv"
    content = os.urandom(2 * PART + 12345)
    path.write_bytes(content)
    steps: list[tuple[int, int]] = []
    upload = faulty_client.datasets.upload(path, progress=lambda *step: steps.append(step))
    assert upload.complete
    assert receiver.data == content
    assert receiver.sha256 == hashlib.sha256(content).hexdigest()
    assert steps == sorted(steps)
    assert steps[-1] == (len(content), len(content))


def test_without_progress_it_is_given_up(
    faulty: FaultyServer,
    faulty_client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = Receiver(lose=set())
    receiver.stuck = True
    faulty.answer = receiver.answer  # type: ignore[method-assign]
    monkeypatch.setattr("datarun_ext.client.uploads.PATIENCE", 2)
    path = tmp_path / "big.csv"
    path.write_bytes(b"x" * 100)
    with pytest.raises((Unavailable, ClientError)):
        faulty_client.uploads.send(path)
    tries = [verb for verb, _ in faulty.requests if verb == "PUT"]
    assert len(tries) == 3


def test_a_missing_file_is_no_request(
    faulty: FaultyServer, faulty_client: Client, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        faulty_client.uploads.send(tmp_path / "none.csv")
    assert faulty.requests == []
