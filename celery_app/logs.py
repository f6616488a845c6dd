"""What is kept of a fold's output: its beginning and its end, as harmless text."""

from __future__ import annotations

import re
from collections import deque

from datarun_ext.protocol import LOG_KEPT

_ESCAPES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*|[ -/]*)\Z")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(data: bytes) -> str:
    """Return text without terminal escapes, control characters and direction marks."""
    text = _ESCAPES.sub(b"", data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _CONTROLS.sub("", text.decode("utf-8", "replace"))


class LogKeeper:
    """Keeps the first and last bytes of a stream, and what is new since the last look.

    Parameters
    ----------
    kept : int
        Bytes kept from the beginning, and again from the end.
    """

    def __init__(self, kept: int = LOG_KEPT) -> None:
        self._kept = kept
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._last_size = 0
        self._new = bytearray()
        self._new_dropped = 0
        self.received = 0

    def add(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        self.received += len(data)
        self._new += data
        if len(self._new) > self._kept:
            self._new_dropped += len(self._new) - self._kept
            del self._new[: -self._kept]
        room = self._kept - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        if not data:
            return
        self._last.append(data)
        self._last_size += len(data)
        while self._last_size - len(self._last[0]) >= self._kept:
            self._last_size -= len(self._last.popleft())

    @property
    def has_news(self) -> bool:
        """Whether there is text that `news` has not returned yet."""
        return bool(self._new)

    @property
    def dropped(self) -> int:
        """Bytes that are kept nowhere."""
        return max(0, self.received - len(self._first) - min(self._last_size, self._kept))

    def news(self) -> str:
        """Return what came since the last call, at most `kept` bytes of it.

        A character or an escape that is cut at the end waits for its rest.
        """
        cut = _complete(self._new)
        data, dropped = bytes(self._new[:cut]), self._new_dropped
        del self._new[:cut]
        self._new_dropped = 0
        note = f"[… {dropped} bytes dropped …]\n" if dropped else ""
        return note + clean(data)

    def text(self) -> str:
        """Return the beginning, how much was dropped, and the end."""
        last = b"".join(self._last)[-self._kept :]
        if not self.dropped:
            return clean(bytes(self._first) + last)
        note = f"\n[… {self.dropped} bytes dropped …]\n"
        return clean(bytes(self._first)) + note + clean(last)


def _complete(data: bytearray, longest: int = 64) -> int:
    """Return how many bytes can be shown now."""
    escape = data.rfind(b"\x1b", max(0, len(data) - longest))
    if escape >= 0 and _UNFINISHED.match(data, escape):
        return escape
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < needed else len(data)
        if byte < 0x80:
            break
    return len(data)
