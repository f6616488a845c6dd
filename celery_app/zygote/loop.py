"""Waiting for several descriptors at once."""

from __future__ import annotations

import select
from collections.abc import Callable


class Loop:
    """Calls a function for each descriptor that can be read, or whose other side is gone."""

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[], None]] = {}
        self._poll = select.poll()

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever there is something to read."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; a descriptor that is not watched is no error."""
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def is_ready(self, descriptor: int) -> bool:
        """Say whether a watched descriptor can be read now."""
        return descriptor in self._handlers and bool(select.select([descriptor], [], [], 0)[0])

    def turn(self, seconds: float) -> None:
        """Wait at most so long, and serve what is ready."""
        for descriptor, _ in self._poll.poll(seconds * 1000 + 0.5):
            # An earlier handler of this turn may have unwatched it.
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler()
