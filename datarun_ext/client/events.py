"""What happens on the server, as it happens: a stream that survives cuts and misses nothing."""

from __future__ import annotations

import json
import random
import ssl
import time
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import websocket

from datarun_ext.client.data import Dataset, Fold, Runner, Submission
from datarun_ext.client.errors import (
    ClientError,
    NotConnected,
    NotDatarun,
    http_error,
)
from datarun_ext.client.transport import CONNECT_S, Transport, parse
from datarun_ext.client.values import Event, LogText, Message, Snapshot
from datarun_ext.protocol import PROTOCOL

TICK_S = 0.5
PING_AFTER_S = 20.0
DEAD_AFTER_S = 45.0
LONGEST_PAUSE_S = 10.0


class EventStream:
    """Iterates over a server's messages: a `Snapshot` first, then each `Event` and `LogText`.

    A broken connection is made again, from the last event on; where the server no longer has the
    events between, a new `Snapshot` comes.

    Parameters
    ----------
    transport : Transport
    since : int, optional
        Sequence number of the last event that is known: the events after it come instead of the
        first snapshot.
    patience : float, optional
        Seconds that a lost server is tried again before `NotConnected`; without it, for ever.

    Attributes
    ----------
    seq : int or None
        Sequence number of the last event that was given.
    """

    def __init__(
        self, transport: Transport, *, since: int | None = None, patience: float | None = None
    ) -> None:
        self._transport = transport
        self._patience = patience
        self._socket: Any = None
        self._closed = False
        self._opened_once = False
        self._failures = 0
        self._lost_at = 0.0
        self._heard = 0.0
        self._pinged = False
        self.seq = since

    @property
    def connected(self) -> bool:
        """Whether the connection stands now."""
        return self._socket is not None

    def __iter__(self) -> Iterator[Message]:
        while not self._closed:
            message = self.next(timeout=None)
            if message is not None:
                yield message

    def next(self, timeout: float | None = None) -> Message | None:
        """Return the next message; None when none came in time, or the stream was closed.

        Raises
        ------
        NotConnected
            If the server cannot be reached at first, or for longer than `patience`.
        Refused
            If the server does not let this user listen.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            left = TICK_S if end is None else min(TICK_S, end - time.monotonic())
            if left <= 0:
                return None
            try:
                if self._socket is None:
                    self._connect()
                text = self._receive(left)
            except (OSError, websocket.WebSocketException) as error:
                self._lost(error, end)
                continue
            message = None if text is None else self._read(text)
            if message is not None:
                return message
        return None

    def close(self) -> None:
        """End the stream, also from another thread: its iteration then ends."""
        self._closed = True
        self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self) -> None:
        url = self._transport.url("runapp/events/")
        if self.seq is not None:
            url += "?" + urlencode({"since": self.seq})
        header = [f"Authorization: {self._transport.authorization}"]
        options: dict[str, Any] = {}
        if self._transport.is_local:
            options["http_no_proxy"] = ["*"]
        if self._transport.verify is False:
            options["sslopt"] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
        elif isinstance(self._transport.verify, str):
            options["sslopt"] = {"ca_certs": self._transport.verify}
        try:
            self._socket = websocket.create_connection(
                "ws" + url.removeprefix("http"),
                timeout=CONNECT_S,
                header=header if self._transport.authorization else [],
                enable_multithread=True,
                **options,
            )
        except websocket.WebSocketBadStatusException as error:
            self._refused(error)
        self._heard = time.monotonic()
        self._pinged = False

    def _refused(self, error: Any) -> None:
        status = int(error.status_code)
        if status in (401, 403):
            detail = "The server does not let you listen to its events. Check token or password."
            raise http_error(403, {"detail": detail}, request="GET runapp/events/") from error
        if status < 500:
            msg = (
                f"{self._transport.server.url} has no events of datarun (HTTP {status}). Is the "
                "datarun extension enabled there, and is the address right, with its base_url?"
            )
            raise NotDatarun(msg) from error
        raise error

    def _receive(self, timeout: float) -> str | None:
        self._socket.settimeout(max(timeout, 0.001))
        try:
            code, data = self._socket.recv_data_frame(control_frame=True)
        except (websocket.WebSocketTimeoutException, TimeoutError):
            self._keep_alive()
            return None
        self._heard = time.monotonic()
        self._pinged = False
        if code == websocket.ABNF.OPCODE_CLOSE:
            status = int.from_bytes(data.data[:2], "big")
            if status == 4403:
                detail = "The server no longer lets you listen to its events."
                raise http_error(403, {"detail": detail}, request="GET runapp/events/")
            msg = f"the server closed the connection ({status})"
            raise ConnectionResetError(msg)
        if code != websocket.ABNF.OPCODE_TEXT:
            return None
        return str(data.data.decode())

    def _keep_alive(self) -> None:
        silent = time.monotonic() - self._heard
        if silent > DEAD_AFTER_S:
            msg = f"nothing was heard for {silent:.0f} s"
            raise ConnectionResetError(msg)
        if silent > PING_AFTER_S and not self._pinged:
            self._pinged = True
            self._socket.ping()

    def _lost(self, error: Exception, end: float | None) -> None:
        """Pause before the next try, ever longer; or give up."""
        was_open = self._socket is not None
        self._drop()
        if self._closed:
            return
        now = time.monotonic()
        if was_open or not self._failures:
            self._lost_at = now
        gone = self._patience is not None and now - self._lost_at > self._patience
        if not self._opened_once or gone:
            msg = (
                f"No connection to the events of {self._transport.server.url}: {error}. "
                "Check that the server runs and that the address is right."
            )
            raise NotConnected(msg) from error
        self._failures += 1
        pause = min(LONGEST_PAUSE_S, 0.1 * 2**self._failures) * random.uniform(0.5, 1.0)
        wake = now + pause if end is None else min(now + pause, end)
        while not self._closed and (left := wake - time.monotonic()) > 0:
            time.sleep(min(left, TICK_S))

    def _read(self, text: str) -> Message | None:
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, KeyError, TypeError) as error:
            msg = "The server sent an event that cannot be read: update datarun on both sides."
            raise ClientError(msg) from error
        if kind == "hello":
            self._hello(message)
            return None
        if kind == "snapshot":
            self.seq = int(message["seq"])
            return Snapshot(
                seq=self.seq,
                folds=tuple(parse(Fold, one) for one in message.get("folds", ())),
                datasets=tuple(parse(Dataset, one) for one in message.get("rawdata", ())),
                submissions=tuple(parse(Submission, one) for one in message.get("submissions", ())),
                runners=tuple(parse(Runner, one) for one in message.get("runners", ())),
            )
        if kind == "event":
            self.seq = int(message["seq"])
            return Event(
                seq=self.seq,
                at=float(message["at"]),
                kind=str(message["kind"]),
                ref=str(message["ref"]),
                data=message.get("data") or {},
            )
        if kind == "log":
            return LogText(
                fold=int(message["databoard_sf_id"]),
                attempt=int(message.get("attempt") or 0),
                text=str(message["text"]),
            )
        if kind == "resync":
            self._forget()
        return None

    def _hello(self, message: dict[str, Any]) -> None:
        self._opened_once = True
        self._failures = 0
        theirs = int(message.get("protocol") or 0)
        if theirs != PROTOCOL:
            warnings.warn(
                f"The server speaks protocol {theirs}, this client {PROTOCOL}: install the same "
                "version of datarun on both sides.",
                stacklevel=4,
            )
        if self.seq is not None and int(message.get("seq") or 0) < self.seq:
            # The server's log is younger than what is known: its database is another one.
            self._forget()

    def _forget(self) -> None:
        self.seq = None
        self._drop()

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            try:
                connection.close(timeout=0)
            except (OSError, websocket.WebSocketException):
                pass
