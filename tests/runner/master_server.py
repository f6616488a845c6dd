"""A small master that speaks the runner protocol over real HTTP, for one test at a time."""

from __future__ import annotations

import hashlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from datarun_ext.protocol import (
    PROTOCOL,
    Beat,
    Claim,
    FoldJob,
    FoldOutcome,
    FoldProgress,
    Registration,
    SplitJob,
    SplitOutcome,
    unpack_outcome,
)

TOKEN = "right-token"


class Master:
    """What the server knows and was told."""

    def __init__(self) -> None:
        self.jobs: dict[int | str, FoldJob | SplitJob] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.progress: list[FoldProgress] = []
        self.outcomes: list[FoldOutcome] = []
        self.predictions: list[tuple[bytes, bytes]] = []
        self.splits: list[SplitOutcome] = []
        self.registrations: list[Registration] = []
        self.beats = 0
        self.alarm = 0
        self.runner_id = 11
        self.heartbeat_s = 5.0
        self.lease_s = 20.0
        self.end = False
        self.fenced = False
        self.trouble: list[int] = []
        """Statuses to answer the next requests with; 0 breaks the connection."""
        self.url = ""
        self.connections = 0
        self.sockets: list[socket.socket] = []

    def wait_for(self, what: Callable[[], object], timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not what():
            assert time.monotonic() < deadline, f"nothing came; requests: {self.requests}"
            time.sleep(0.01)

    def answer(
        self, method: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["claim", "fold"] or parts[:2] == ["claim", "split"]:
            claim = Claim.model_validate_json(body)
            job = self.jobs.get(claim.id)
            if job is None or job.attempt != claim.attempt or claim.runner_id != self.runner_id:
                return 409, b'{"detail": "not yours"}'
            return 200, job.model_dump_json().encode()
        if parts[0] == "progress":
            if parts[1] == "fold":
                self.progress.append(FoldProgress.model_validate_json(body))
            return 200, json.dumps({"end": self.end}).encode()
        if parts[0] == "result":
            if self.fenced:
                return 409, b'{"detail": "fenced"}'
            if parts[1] == "split":
                self.splits.append(SplitOutcome.model_validate_json(body))
            else:
                outcome, *predictions = unpack_outcome(body)
                self.predictions.append((predictions[0], predictions[1]))
                self.outcomes.append(outcome)
            return 204, b""
        if parts[0] == "blob" and method == "GET":
            blob = self.blobs.get(parts[1])
            return (404, b'{"detail": "Not found."}') if blob is None else (200, blob)
        if parts[0] == "blob":
            name = unquote(parts[2])
            self.uploads[name] = body
            sha256 = hashlib.sha256(body).hexdigest()
            made = {"name": name, "sha256": sha256, "size": len(body)}
            assert set(query) == {"task_id", "attempt"}
            return 201, json.dumps(made).encode()
        if parts[0] == "register":
            registration = Registration.model_validate_json(body)
            self.registrations.append(registration)
            if registration.protocol != PROTOCOL or self.fenced:
                return 409, b'{"detail": "Protocol 1 meets 2: install the same version."}'
            registered = {
                "runner_id": self.runner_id,
                "heartbeat_s": self.heartbeat_s,
                "lease_s": self.lease_s,
            }
            return 200, json.dumps(registered).encode()
        assert parts[0] == "beat"
        self.beats += 1
        beat = Beat.model_validate_json(body)
        if beat.runner_id != self.runner_id:
            return 404, b'{"detail": "Not found."}'
        end = time.monotonic() + beat.wait_s
        while self.alarm == beat.alarm and time.monotonic() < end:
            time.sleep(0.02)
        return 200, json.dumps({"alarm": self.alarm}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.master.connections += 1
        self.server.master.sockets.append(self.connection)

    def _serve(self) -> None:
        master: Master = self.server.master
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/base/runapp/runner/")
        assert path != parts.path, self.path
        master.requests.append(f"{self.command} {path}")
        master.headers.append(dict(self.headers.items()))
        if master.trouble:
            status = master.trouble.pop(0)
            if not status:
                self.close_connection = True
                return
            self._answer(status, b'{"detail": "trouble"}')
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(403, b'{"detail": "wrong token"}')
        else:
            query = dict(parse_qsl(parts.query))
            self._answer(*master.answer(self.command, path, query, body))

    do_GET = do_POST = do_PUT = _serve  # noqa: N815

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "runner"


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(path: Path | None = None, port: int = 0) -> Iterator[Master]:
    """Serve on a TCP port, or on a unix socket."""
    master = Master()
    server: socketserver.BaseServer
    if path is None:
        server = _TcpServer(("127.0.0.1", port), _Handler)
        master.url = f"http://127.0.0.1:{server.server_address[1]}/base/"  # type: ignore[index]
    else:
        server = _UnixServer(str(path), _Handler)
        master.url = f"http+unix://{quote(str(path), safe='')}/base/"
    server.master = master  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield master
    finally:
        server.shutdown()
        server.server_close()
        for connection in master.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
