"""The phases of a run, each with its measures."""

from __future__ import annotations

import time

from celery_app.measure import Meter
from datarun_ext.protocol import Measure, Phase


class Phases:
    """Times and measures one phase after the other.

    Attributes
    ----------
    running : Phase or None
        The phase that has begun and not ended.
    done : list of Phase
        Those that have ended well.
    measures : dict of Phase to Measure
        Of every phase that has ended, well or not.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._began = 0.0
        self._cpu_s = 0.0
        self.running: Phase | None = None
        self.done: list[Phase] = []
        self.measures: dict[Phase, Measure] = {}

    def may_begin(self, phase: Phase) -> bool:
        """Say whether this phase has not begun before."""
        return phase not in self.done and phase != self.running

    def begin(self, phase: Phase) -> None:
        """Begin a phase: its figures start from nothing."""
        self._meter.restart()
        self._cpu_s = self._meter.cpu_s()
        self.running, self._began = phase, time.monotonic()

    def measure(self) -> None:
        """Take the figures of the running phase as they are now."""
        if self.running is None:
            return
        wall_s = time.monotonic() - self._began
        self.measures[self.running] = Measure(
            wall_s=wall_s,
            cpu_s=max(0.0, self._meter.cpu_s() - self._cpu_s),
            memory_kb=self._meter.peak_kb(),
        )

    def end(self) -> bool:
        """End the running phase well; says whether there was one."""
        if self.running is None:
            return False
        self.measure()
        self.done.append(self.running)
        self.running = None
        return True
