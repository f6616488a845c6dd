"""What a fold uses, seen from outside: nothing here asks the fold itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from celery_app.sandbox.cgroup import Group
from celery_app.zygote.processes import family

_TICK = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2


def cpu_clock(pid: int) -> float:
    """Return the CPU seconds of a living process, all its threads included."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def _reaped_cpu(pid: int) -> float:
    """Return the CPU seconds of the children that a process has waited for."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICK


def _kilobytes(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8", errors="replace") as file:
        pairs = (line.split(":", 1) for line in file)
        return {
            name: int(value.split()[0]) for name, value in pairs if value.rstrip().endswith("kB")
        }


class Meter:
    """CPU time and peak memory of all processes of one fold.

    Parameters
    ----------
    pid : int
        The fold's main process.
    roots : callable
        Returns the processes whose families make up the fold.
    group : Group or None
        Its control group; gives exact figures where there is one.
    """

    def __init__(self, pid: int, roots: Callable[[], list[int]], group: Group | None) -> None:
        self._pid = pid
        self._roots = roots
        self._group = group
        self._cpu = 0.0
        self._lost = 0.0
        self._peak = 0
        self._file = 0
        self._baseline = 0
        self.processes = 0

    def start(self) -> None:
        """Take what is in use now as inherited."""
        self.restart()
        self._baseline = self._memory()
        self._peak = 0
        self._cpu_now()

    def restart(self) -> None:
        """Begin a new phase: forget the peak."""
        self._peak = self._file = 0
        if self._group is not None:
            self._group.restart_peak()
            return
        for pid in self._members():
            try:
                with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
            except OSError:
                continue

    def sample(self) -> int:
        """Look at the memory now; returns bytes above the baseline."""
        used = max(0, self._memory() - self._baseline)
        self._peak = max(self._peak, used)
        self._cpu_now()
        return used

    def peak_kb(self) -> float:
        """Return the highest memory of the phase so far, above what was inherited."""
        self.sample()
        highest = self._peak
        try:
            if self._group is not None:
                # Kernels before 6.12 cannot forget a peak: then the samples are all there is.
                highest = max(highest, (self._group.peak() or 0) - self._baseline)
            else:
                status = _kilobytes(f"/proc/{self._pid}/status")
                # The mark counts mapped files too, which only grow while libraries are touched.
                file = max(self._file, status.get("RssFile", 0))
                marked = (status.get("VmHWM", 0) - file) * 1024 - self._baseline
                highest = max(highest, marked)
        except (OSError, ValueError):
            pass
        return highest / 1024

    def cpu_s(self) -> float:
        """Return the CPU seconds of the fold so far; never decreases."""
        return self._cpu_now()

    def _members(self) -> list[int]:
        if self._group is not None:
            try:
                return self._group.processes()
            except OSError:
                return []
        return family(self._roots())

    def _cpu_now(self) -> float:
        if self._group is not None:
            try:
                exact = self._group.cpu_s()
            except (OSError, ValueError):
                exact = None
            if exact is not None:
                self._cpu = max(self._cpu, exact)
                return self._cpu
        alive = 0.0
        for pid in self._members():
            try:
                alive += cpu_clock(pid) + _reaped_cpu(pid)
            except (OSError, ValueError):
                continue
        # A child that nobody waited for took its figure along.
        self._lost = max(self._lost, self._cpu - alive)
        self._cpu = max(self._cpu, alive + self._lost)
        return self._cpu

    def _memory(self) -> int:
        members = self._members()
        self.processes = len(members)
        if self._group is not None:
            try:
                exact = self._group.memory()
            except OSError:
                exact = None
            if exact is not None:
                return exact
        total = 0
        for pid in members:
            try:
                if pid == self._pid:
                    status = _kilobytes(f"/proc/{pid}/status")
                    self._file = max(self._file, status.get("RssFile", 0))
                    total += status.get("RssAnon", 0) + status.get("RssShmem", 0)
                else:
                    # What a child shares with the main process is counted there.
                    total += _kilobytes(f"/proc/{pid}/smaps_rollup").get("Private_Dirty", 0)
            except OSError:
                continue
        return total * 1024
