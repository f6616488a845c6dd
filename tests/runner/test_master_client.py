from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_app.cache import Cache
from celery_app.files import FetchError, Files
from celery_app.master import MasterAway, MasterClient, Refused
from celery_app.transport import _BLOCK, HttpClient
from datarun_ext.protocol import (
    Beat,
    BeatAnswer,
    Claim,
    File,
    FoldOutcome,
    FoldProgress,
    Reason,
    Registration,
    SandboxLevel,
)

from .data import CLASSIFIER, fold_job
from .master_server import TOKEN, Master, free_port, serving

REGISTRATION = Registration(
    protocol=1,
    name="here:1",
    host="here",
    pid=1,
    slots=2,
    queues=("H", "L"),
    sandbox=SandboxLevel.FULL,
)
CLAIM = Claim(runner_id=11, id=7, attempt=2)


@pytest.fixture(params=["tcp", "unix"])
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Master]:
    with serving(tmp_path / "m.sock" if request.param == "unix" else None) as master:
        yield master


@pytest.fixture
def client(master: Master) -> MasterClient:
    return MasterClient(master.url, TOKEN, patience_s=5)


def test_a_fold_costs_two_requests_on_one_connection(
    master: Master, client: MasterClient, tmp_path: Path
) -> None:
    master.jobs[7] = fold_job(tmp_path, {"classifier.py": CLASSIFIER})
    job = client.claim_fold(CLAIM)
    assert job == master.jobs[7]
    outcome = FoldOutcome(
        fold_id=7, attempt=2, full_train_shape=(1,), full_train_dtype="float64", test_shape=(2,)
    )
    assert client.finish_fold(outcome, b"f" * 8, b"t" * 16)
    assert master.outcomes == [outcome]
    assert master.predictions == [(b"f" * 8, b"t" * 16)]
    assert master.requests == ["POST claim/fold/", "POST result/fold/"]
    assert master.connections == 1
    assert master.headers[0]["X-Datarun-Protocol"] == "1"


def test_what_is_another_s_is_dropped(master: Master, client: MasterClient) -> None:
    assert client.claim_fold(CLAIM) is None
    assert client.claim_split(CLAIM) is None
    master.fenced = True
    assert not client.finish_fold(FoldOutcome(fold_id=7, attempt=2, reason=Reason.PLATFORM))


def test_registration_and_signs_of_life(master: Master, client: MasterClient) -> None:
    registered = client.register(REGISTRATION)
    assert registered.runner_id == 11
    assert client.beat(Beat(runner_id=11)) == BeatAnswer(alarm=0)
    assert client.beat(Beat(runner_id=12)) is None
    master.alarm = 7
    assert client.beat(Beat(runner_id=11, wait_s=30)) == BeatAnswer(alarm=7)
    master.fenced = True
    with pytest.raises(Refused, match="Protocol 1 meets 2") as caught:
        client.register(REGISTRATION)
    assert caught.value.status == 409


def test_a_wrong_token_is_no_reason_to_try_again(master: Master) -> None:
    with pytest.raises(Refused, match="wrong token"):
        MasterClient(master.url, "other").claim_fold(CLAIM)
    assert len(master.requests) == 1


@pytest.mark.parametrize("trouble", [[0], [503], [0, 502, 0, 429]])
def test_trouble_is_tried_again(master: Master, client: MasterClient, trouble: list[int]) -> None:
    master.trouble = list(trouble)
    assert client.register(REGISTRATION).runner_id == 11
    assert len(master.requests) == len(trouble) + 1


def test_progress_is_tried_once(master: Master, client: MasterClient) -> None:
    progress = FoldProgress(fold_id=7, attempt=2)
    assert client.progress(progress)
    master.end = True
    assert not client.progress(progress)
    master.trouble = [503]
    with pytest.raises(MasterAway):
        client.progress(progress)
    assert len(master.requests) == 3


def test_a_connection_that_the_master_closed_is_replaced() -> None:
    port = free_port()
    with serving(port=port) as first:
        client = MasterClient(first.url, TOKEN, patience_s=5)
        client.register(REGISTRATION)
    with pytest.raises(MasterAway, match="does not answer"):
        client.beat(Beat(runner_id=11))
    with serving(port=port) as second:
        client.register(REGISTRATION)
        assert second.connections == 1


def test_registration_waits_for_a_master_that_is_not_there_yet() -> None:
    port = free_port()
    client = MasterClient(f"http://127.0.0.1:{port}/base", TOKEN)
    results: list[int] = []
    thread = threading.Thread(
        target=lambda: results.append(client.register(REGISTRATION).runner_id)
    )
    thread.start()
    time.sleep(0.3)
    assert not results
    with serving(port=port):
        thread.join(20)
    assert results == [11]


def test_upload_streams_a_file(master: Master, client: MasterClient, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(3_000_000))
    calls: list[int] = []
    sent = client.upload(
        path,
        raw_data_id=3,
        name="a b/%ä.csv",
        task_id="t-1",
        attempt=4,
        waiting=lambda: calls.append(1),
    )
    assert master.uploads == {"a b/%ä.csv": path.read_bytes()}
    assert sent.size == 3_000_000
    assert len(calls) > 5


def test_a_body_that_is_refused_unread_is_told_as_refused(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        answer = b'{"detail": "too large"}'
        head = f"HTTP/1.1 413 No\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + answer)
        connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.2)
        connection.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    port = listener.getsockname()[1]
    client = MasterClient(f"http://127.0.0.1:{port}/", TOKEN, patience_s=0)
    outcome = FoldOutcome(fold_id=7, attempt=2, full_train_shape=(4_000_000,), test_shape=(0,))
    with pytest.raises(Refused, match="too large"):
        client.finish_fold(outcome, bytes(32_000_000))
    thread.join()
    listener.close()


def make_files(master: Master, folder: Path) -> Files:
    return Files(Cache(folder / "cache", 10**9), MasterClient(master.url, TOKEN, patience_s=1))


def blob(master: Master, data: bytes, url: str | None = None) -> File:
    sha256 = hashlib.sha256(data).hexdigest()
    master.blobs[sha256] = data
    return File(name="data.bin", sha256=sha256, size=len(data), url=url)


def nothing() -> None:
    pass


def test_a_file_is_fetched_once_and_verified(master: Master, tmp_path: Path) -> None:
    files = make_files(master, tmp_path)
    file = blob(master, os.urandom(2_500_000))
    for _ in range(2):
        with files.file(file, nothing) as path:
            assert path.read_bytes() == master.blobs[file.sha256]
    assert len(master.requests) == 1


def test_other_bytes_than_announced_are_refused(master: Master, tmp_path: Path) -> None:
    files = make_files(master, tmp_path)
    file = blob(master, b"right")
    for wrong in (b"wrong", b"longer than announced", b"cut"):
        master.blobs[file.sha256] = wrong
        with pytest.raises(FetchError, match=r"data\.bin"), files.file(file, nothing):
            pass
    assert not list((tmp_path / "cache" / "parts").iterdir())
    master.blobs[file.sha256] = b"right"
    with files.file(file, nothing) as path:
        assert path.read_bytes() == b"right"


def test_a_break_in_the_middle_is_tried_again(master: Master, tmp_path: Path) -> None:
    file = blob(master, os.urandom(100_000))
    master.trouble = [0, 503]
    with make_files(master, tmp_path).file(file, nothing) as path:
        assert path.stat().st_size == 100_000


def test_a_file_of_this_machine_is_used_where_it_lies(master: Master, tmp_path: Path) -> None:
    files = make_files(master, tmp_path)
    here = tmp_path / "a file%.bin"
    here.write_bytes(b"content")
    file = blob(master, b"content", here.as_uri())
    with files.file(file, nothing) as path:
        assert path == here
    here.write_bytes(b"CONTENT")
    with files.file(file, nothing) as path:
        assert path != here
        assert path.read_bytes() == b"content"
    assert len(master.requests) == 1


def test_an_fsspec_url_comes_first_and_http_helps_out(master: Master, tmp_path: Path) -> None:
    import fsspec

    files = make_files(master, tmp_path)
    fsspec.filesystem("memory").pipe("/shared/one", b"one")
    for data in (b"one", b"two"):
        file = blob(master, data, "memory://shared/one")
        with files.file(file, nothing) as path:
            assert path.read_bytes() == data
    assert len(master.requests) == 1


def test_a_folder_is_made_once_for_the_same_files(master: Master, tmp_path: Path) -> None:
    files = make_files(master, tmp_path)
    job = fold_job(tmp_path, {"classifier.py": CLASSIFIER, "helper.py": "x = 1\n"}, local=False)
    for file in job.files:
        master.blobs[file.sha256] = (tmp_path / "submission" / file.name).read_bytes()
    for _ in range(2):
        with files.folder(job.files, "package", nothing) as folder:
            assert os.listdir(folder) == ["package"]
            folder = folder / "package"
            assert sorted(os.listdir(folder)) == ["classifier.py", "helper.py"]
            assert (folder / "classifier.py").read_text() == CLASSIFIER
            assert not (folder / "classifier.py").stat().st_mode & 0o222
    assert len(master.requests) == 2


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", ".", "", "a\0b", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(master: Master, tmp_path: Path, name: str) -> None:
    file = blob(master, b"x").model_copy(update={"name": name})
    with (
        pytest.raises(FetchError, match="no plain file name"),
        make_files(master, tmp_path).folder([file], "package", nothing),
    ):
        pass


class Recording(socket.socket):
    """A socket that notes how much each call is given: that much must go within one timeout."""

    def sendall(self, data: bytes | memoryview, *flags: int) -> None:  # type: ignore[override]
        self.sizes = [*getattr(self, "sizes", []), len(data)]
        super().sendall(data, *flags)


@pytest.mark.parametrize("size", [0, 1000, _BLOCK, 5 * _BLOCK + 7])
def test_a_timeout_holds_for_a_part_of_a_large_body(size: int) -> None:
    ours, theirs = socket.socketpair()
    sock, received = Recording(fileno=ours.detach()), []
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: theirs.recv(9999), b"")))
    reader.start()
    body = os.urandom(size)
    with sock:
        assert HttpClient._send(sock, b"head", body)
    reader.join(60)
    theirs.close()
    assert b"".join(received) == b"head" + body
    assert sock.sizes[0] == 4 + min(size, _BLOCK)  # what is small goes in one piece
    assert max(sock.sizes) <= 4 + _BLOCK
