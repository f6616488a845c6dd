"""A small keep-alive HTTP client over TCP, TLS or a unix socket, on the standard library."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

_BLOCK = 1 << 18


class Readable(Protocol):
    """A body that is sent as it is read."""

    def read(self, length: int = ..., /) -> bytes:
        """Return the next piece, empty at the end."""
        ...


Body = bytes | Readable | None


class Unreachable(ConnectionError):
    """The server could not be reached, or the connection broke before its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class HttpClient:
    """Speaks to one server over one connection that is kept; for one thread.

    Parameters
    ----------
    base_url : str
        ``http://``, ``https://`` or ``http+unix://<percent-encoded path of a socket>``, with the
        path below which all requests go.
    headers : mapping
        Sent with every request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self.base_path = parts.path.rstrip("/") + "/"
        host = "localhost" if parts.scheme == "http+unix" else parts.netloc.rpartition("@")[2]
        lines = [f"{name}: {value}" for name, value in {"Host": host, **headers}.items()]
        if any(not line.isprintable() for line in lines):
            msg = "a header holds a character that is not printable"
            raise ValueError(msg)
        self._head = "\r\n".join(lines)
        self._scheme = parts.scheme
        self._address = parts.netloc.rpartition("@")[2]
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        content_type: str = "application/json",
        length: int | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """Return the server's answer, read to its end.

        A kept connection that the server has closed in the meantime is replaced first.

        Raises
        ------
        Unreachable
            If there is no answer.
        """
        response = self._exchange(method, path, body, content_type, length, timeout)
        with self._broken():
            answer = Answer(response.status, response.read())
        if response.will_close:
            self.close()
        return answer

    @contextmanager
    def stream(
        self, path: str, *, timeout: float = 30.0, chunk: int = 1 << 20
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Give the status of a GET and its body piece by piece; a piece may raise `Unreachable`."""
        response = self._exchange("GET", path, None, "", None, timeout)

        def pieces() -> Iterator[bytes]:
            with self._broken():
                while piece := response.read(chunk):
                    yield piece

        try:
            yield response.status, pieces()
        finally:
            if response.will_close or not response.isclosed():
                self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self,
        method: str,
        path: str,
        body: Body,
        content_type: str,
        length: int | None,
        timeout: float,
    ) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer."""
        lines = [f"{method} {self.base_path}{path} HTTP/1.1", self._head]
        if body is not None:
            size = len(body) if isinstance(body, bytes) else length
            lines += [f"Content-Type: {content_type}", f"Content-Length: {size}"]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        with self._broken():
            sock = self._ready(timeout)
            try:
                refused = not self._send(sock, head, body)
                response = http.client.HTTPResponse(sock, method=method)
                response.begin()
            except BaseException:
                self.close()
                raise
            response.will_close = response.will_close or refused
            return response

    @staticmethod
    def _send(sock: socket.socket, head: bytes, body: Body) -> bool:
        """Send a request; False when the server stopped reading, as before it refuses a body."""
        try:
            if isinstance(body, bytes):
                # What is small in one piece: each piece would wake the server. What is large in
                # several: a timeout holds for each, not for all of a slow line's bytes.
                sock.sendall(head + body[:_BLOCK])
                for start in range(_BLOCK, len(body), _BLOCK):
                    sock.sendall(memoryview(body)[start : start + _BLOCK])
                return True
            sock.sendall(head)
            if body is not None:
                while piece := body.read(_BLOCK):
                    sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    @contextmanager
    def _broken(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = str(error) or type(error).__name__
            msg = f"the master at {self.base_url} does not answer: {reason}"
            raise Unreachable(msg) from error

    def _ready(self, timeout: float) -> socket.socket:
        """Return the kept connection, or a new one when the server has closed it."""
        if self._connection is not None:
            sock = self._connection.sock
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(0):
                sock.settimeout(timeout)
                return sock
            self.close()
        connection = self._open(timeout)
        connection.connect()
        self._connection = connection
        return connection.sock

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._scheme == "http+unix":
            return _UnixConnection(unquote(self._address), timeout)
        kind = (
            http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        )
        return kind(self._address, timeout=timeout)


def segment(text: str) -> str:
    """Escape one part of a path."""
    return quote(text, safe="")
