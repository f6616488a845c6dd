"""The limits of a run: watched from outside, and enforced."""

from __future__ import annotations

import math
from collections.abc import Callable

from celery_app.execution import Order
from celery_app.measure import Meter
from celery_app.sandbox.cgroup import Group
from celery_app.zygote import endings
from celery_app.zygote.folders import folder_bytes
from celery_app.zygote.judge import Ending

_MB = 10**6
_SAMPLE_S = 0.05
_DISK_SAMPLE_S = 0.3
_QUICK_S = 10
MEMORY_SLACK = 32 * _MB
_PROCESSES_SLACK = 2


class Limiter:
    """Says when a run has gone beyond a limit.

    Parameters
    ----------
    order : Order
        With the limits.
    meter : Meter
        Says what the run uses.
    group : Group or None
        The control group in which the kernel limits it already.
    home : str, optional
        The fold's own folder, where no file system of its own limits it.
    warn : callable
        Called once, when the soft limit has passed.
    """

    def __init__(
        self,
        order: Order,
        meter: Meter,
        group: Group | None,
        *,
        home: str | None,
        warn: Callable[[], None],
    ) -> None:
        self._order = order
        self._meter = meter
        self._group = group
        self._home = home
        self._warn = warn
        self._started = self._soft = self._hard = math.inf
        self._next_sample = self._next_disk = math.inf

    def start(self, now: float) -> None:
        """Begin to count, at this time of the monotonic clock."""
        limits = self._order.limits
        self._started = self._next_disk = now
        self._soft, self._hard = now + limits.soft_s, now + limits.hard_s
        self._next_sample = now + _SAMPLE_S

    def due(self) -> float:
        """Return when to look next."""
        return min(self._next_sample, self._soft, self._hard)

    def look(self, now: float, faults: Callable[[], str]) -> Ending | None:
        """Return how the run is to end now, if it is.

        `faults` returns what Python's fault handler wrote at the soft limit.
        """
        if now >= self._hard:
            if self._group is not None and self._group.refused_processes() > 0:
                return endings.processes(self._order)
            return endings.hard_limit(self._order, faults(), self._meter.processes)
        if now >= self._soft:
            self._soft = math.inf
            self._warn()
        elif now >= self._next_sample:
            return self._sample(now)
        return None

    def _sample(self, now: float) -> Ending | None:
        limits = self._order.limits
        used = self._meter.sample()
        # A fold of an hour need not be looked at twenty times a second, and none that the kernel
        # itself limits and measures.
        exact = self._group is not None and self._group.measures_peak
        pace = 1 if now - self._started < _QUICK_S and not exact else 4
        self._next_sample = now + _SAMPLE_S * pace
        killed = self._group is not None and self._group.oom_kills() > 0
        if killed or used > limits.memory_mb * _MB + MEMORY_SLACK:
            return endings.memory(self._order)
        if self._meter.processes > limits.processes + _PROCESSES_SLACK:
            return endings.processes(self._order)
        if self._home is not None and now >= self._next_disk:
            self._next_disk = now + _DISK_SAMPLE_S
            if folder_bytes(self._home, limits.disk_mb * _MB) > limits.disk_mb * _MB:
                return endings.disk(self._order)
        return None
