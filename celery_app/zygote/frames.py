"""Reads what a fold says, without trusting a byte of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from celery_app.execution import Output
from celery_app.zygote import wire
from datarun_ext.protocol import Phase

_MOST = {
    wire.READY: 0,
    wire.BROKEN: 10_000,
    wire.BEGIN: 32,
    wire.END: 0,
    wire.OUTPUT: 65_536,
    wire.ERROR: 262_144,
    wire.DONE: 0,
}


class Corrupt(Exception):  # noqa: N818
    """The fold said something that no program of ours says."""


class TooMuch(Exception):  # noqa: N818
    """The outputs are larger than the order allows."""


class FrameReader:
    """Cuts the byte stream of a fold into frames.

    Parameters
    ----------
    output_bytes : int
        The most that all outputs may have together.
    on_frame : callable
        Takes the kind and the parsed body of each frame but outputs.
    """

    def __init__(self, output_bytes: int, on_frame: Callable[[bytes, Any], None]) -> None:
        self._room = output_bytes
        self._on_frame = on_frame
        self._buffer = bytearray()
        self._kind: bytes | None = None
        self._length = 0
        self._head: tuple[str, dict[str, Any]] | None = None
        self._data = bytearray()
        self._missing = 0
        self.outputs: list[Output] = []

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises `Corrupt` or `TooMuch`."""
        view = memoryview(data)
        while view:
            if self._head is not None:
                view = self._take_output(view)
                continue
            needed = wire.FRAME.size if self._kind is None else self._length
            missing = needed - len(self._buffer)
            self._buffer += view[:missing]
            view = view[missing:]
            if len(self._buffer) == needed:
                self._turn()

    def _turn(self) -> None:
        if self._kind is None:
            self._kind, self._length = wire.FRAME.unpack(self._buffer)
            self._buffer.clear()
            if self._length > _MOST.get(self._kind, -1):
                raise Corrupt
            if self._length:
                return
        kind, body = self._kind, bytes(self._buffer)
        self._kind = None
        self._buffer.clear()
        if kind == wire.OUTPUT:
            self._begin_output(body)
        else:
            self._on_frame(kind, _parse(kind, body))

    def _begin_output(self, body: bytes) -> None:
        head = _json(body)
        name, size, meta = (head.get(key) for key in ("name", "size", "meta"))
        if not isinstance(name, str) or not isinstance(meta, dict):
            raise Corrupt
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise Corrupt
        self._room -= size + len(body)
        if self._room < 0:
            raise TooMuch
        self._head, self._missing, self._data = (name, meta), size, bytearray()
        if not size:
            self._end_output()

    def _take_output(self, view: memoryview) -> memoryview:
        piece, rest = view[: self._missing], view[self._missing :]
        self._data += piece
        self._missing -= len(piece)
        if not self._missing:
            self._end_output()
        return rest

    def _end_output(self) -> None:
        assert self._head is not None
        name, meta = self._head
        self.outputs.append(Output(name=name, meta=meta, data=bytes(self._data)))
        self._head, self._data = None, bytearray()


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Corrupt from None
    if not isinstance(value, dict):
        raise Corrupt
    return value


def _parse(kind: bytes, body: bytes) -> Any:
    if kind == wire.ERROR:
        return _json(body)
    if kind == wire.BEGIN:
        try:
            return Phase(body.decode("ascii", "replace"))
        except ValueError:
            raise Corrupt from None
    return body.decode("utf-8", "replace")
