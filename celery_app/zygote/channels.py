"""The pipes between a keeper and a fold: always drained, never trusted."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery_app.execution import Output
from celery_app.logs import LogKeeper
from celery_app.zygote import wire
from celery_app.zygote.frames import FrameReader
from celery_app.zygote.loop import Loop

_FAULTS_KEPT = 16 * 1024
_READ = 1 << 18
_MOST_DRAINED = 64 * 10**6


class Channels:
    """What a fold says, prints and, when it crashes, dumps.

    Parameters
    ----------
    descriptors : dict of str to int
        ``control``, ``log`` and ``faults``; closed by `close`.
    output_bytes : int
        The most that its outputs may have together.
    on_frame : callable
        Takes each frame, see `FrameReader`.
    changed : Condition
        Notified of new text.
    """

    def __init__(
        self,
        descriptors: dict[str, int],
        output_bytes: int,
        on_frame: Callable[[bytes, Any], None],
        changed: threading.Condition,
    ) -> None:
        self._control = descriptors["control"]
        self._texts = {
            descriptors["log"]: LogKeeper(),
            descriptors["faults"]: LogKeeper(_FAULTS_KEPT),
        }
        self.log, self.faults = self._texts.values()
        self._reader = FrameReader(output_bytes, on_frame)
        self._changed = changed
        self._loop: Loop | None = None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every output that has arrived whole."""
        return tuple(self._reader.outputs)

    def watch(self, loop: Loop, on_control: Callable[[], None]) -> None:
        """Have the texts drained by the loop, and `on_control` called for what the fold says."""
        self._loop = loop
        loop.watch(self._control, on_control)
        for descriptor in self._texts:
            os.set_blocking(descriptor, False)
            loop.watch(descriptor, partial(self._on_text, descriptor))

    def send_order(self, message: bytes) -> None:
        """Give the fold its order."""
        data = memoryview(message)
        while data:
            data = data[os.write(self._control, data) :]
        os.set_blocking(self._control, False)

    def acknowledge(self) -> None:
        """Let the fold go on."""
        with contextlib.suppress(OSError):
            os.write(self._control, wire.ACKNOWLEDGED)

    def hear(self, *, heed: bool) -> None:
        """Read what the fold says now; raises as `FrameReader.feed` does, if it is heeded."""
        try:
            data = os.read(self._control, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._unwatch(self._control)
        elif heed:
            self._reader.feed(data)

    def has_more(self) -> bool:
        """Say whether the fold has said more than was heard."""
        return self._loop is not None and self._loop.is_ready(self._control)

    def drain_texts(self) -> None:
        """Read what is left in the pipes, which others may still hold open."""
        for descriptor in self._texts:
            left = _MOST_DRAINED
            while left > 0 and (count := self._drain(descriptor)):
                left -= count

    def close(self) -> None:
        """Close the keeper's ends."""
        for descriptor in (self._control, *self._texts):
            os.close(descriptor)

    def _on_text(self, descriptor: int) -> None:
        self._drain(descriptor)

    def _drain(self, descriptor: int) -> int:
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return 0
        if not data:
            self._unwatch(descriptor)
            return 0
        with self._changed:
            self._texts[descriptor].add(data)
            self._changed.notify()
        return len(data)

    def _unwatch(self, descriptor: int) -> None:
        if self._loop is not None:
            self._loop.unwatch(descriptor)
