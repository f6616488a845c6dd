"""The keeper of one run: reads what the fold says, measures it and enforces its limits.

It has a thread of its own, so that a slow `OnSign` (which asks the master over the network) delays
neither the drain of a pipe nor a kill.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import Any

from celery_app.execution import Order, Output, Sign, Verdict
from celery_app.measure import Meter
from celery_app.sandbox.cgroup import Group
from celery_app.zygote import endings, judge, orders, wire
from celery_app.zygote.channels import Channels
from celery_app.zygote.folders import folder_bytes
from celery_app.zygote.frames import Corrupt, TooMuch
from celery_app.zygote.loop import Loop
from celery_app.zygote.phases import Phases
from datarun_ext.protocol import Reason

_MB = 10**6
_SET_UP_S = 30.0
_END_S = 10.0
_SAMPLE_S = 0.05
_DISK_SAMPLE_S = 0.3
_MEMORY_SLACK = 32 * _MB


class Keeper:
    """Runs one order on a fold's process that the zygote has handed out."""

    def __init__(
        self, order: Order, connection: socket.socket, grant: dict[str, Any], channels: list[int]
    ) -> None:
        self._order = order
        self._connection = connection
        self._pid: int = grant["pid"]
        self._home: str = grant["home"]
        self._full = grant["init"] is not None
        self._group = None if grant["group"] is None else Group(**grant["group"])
        roots = [self._pid, *([grant["init"]] if self._full else [])]
        self._meter = Meter(self._pid, lambda: roots, self._group)
        self.changed = threading.Condition()
        named = dict(zip(grant["channels"], channels, strict=True))
        init = named.pop("init", None)
        self._init = None if init is None else socket.socket(fileno=init)
        self._channels = Channels(named, order.output_bytes, self._on_frame, self.changed)
        self._wake: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._pidfd: int | None = None
        self._loop = Loop()
        self._started: float | None = None
        self._furnished = self._ready = False
        self._soft_sent = False
        self._phases = Phases(self._meter)
        self._next_sample = self._next_disk = 0.0
        self._finished = False
        self._ending: judge.Ending | None = None
        self._ended = False
        self._status: dict[str, Any] | None = None
        self._problem: str | None = None
        self.urgent = False
        self.over = False
        self.verdict: Verdict | None = None
        self.error: BaseException | None = None

    def cancel(self) -> None:
        """End the run with reason CANCELLED; may be called from any thread."""
        with self.changed:
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    def sign(self) -> Sign:
        """Return what happened since the last call; hold `changed`."""
        self.urgent = False
        return Sign(
            done=tuple(self._phases.done),
            measures=dict(self._phases.measures),
            log=self._channels.log.news(),
        )

    def has_news(self) -> bool:
        """Say whether there is text to be shown; hold `changed`."""
        return self._channels.log.has_news

    def run(self) -> None:
        """Keep the run to its end: sets `verdict` or `error`, then `over`."""
        try:
            self._begin()
            while not self._ended:
                self._step()
            self.verdict = self._judge()
        except BaseException as error:
            self.error = error
        finally:
            self._close()
            with self.changed:
                self.over = True
                self.changed.notify_all()

    # -- setting up ---------------------------------------------------------------------------

    def _begin(self) -> None:
        order, limits = self._order, self._order.limits
        self._deadline = time.monotonic() + _SET_UP_S
        self._pidfd = os.pidfd_open(self._pid)
        self._outer = orders.outer_paths(order, private=self._full)
        self._channels.watch(self._loop, self._on_control)
        assert self._wake is not None
        self._loop.watch(self._wake, self._on_cancel)
        self._loop.watch(self._connection.fileno(), self._on_zygote)
        counts = self._group is not None and "pids" in self._group.folders
        self._message = orders.for_fold(
            order, self._outer, home=self._home, private=self._full, counted=counts
        )
        if self._init is None:
            self._furnished = True
            self._channels.send_order(self._message)
        else:
            self._loop.watch(self._init.fileno(), self._on_init)
            wire.send(self._init, orders.for_init(order, self._outer))
            if not order.writable:
                # The process locks itself while init still mounts; only a place to be opened for
                # writing must be there first.
                self._channels.send_order(self._message)
        if self._group is not None:
            # The process is at work on its order, but does not start before `_go_when_ready`.
            most = limits.memory_mb * _MB + _MEMORY_SLACK
            self._group.limit(memory=most, processes=limits.processes)

    def _on_init(self) -> None:
        assert self._init is not None
        try:
            answer, _ = wire.receive(self._init)
        except ConnectionError:
            self._loop.unwatch(self._init.fileno())
            return
        if "error" in answer:
            self._fail(f"the inputs could not be mounted: {answer['error']}")
            return
        self._furnished = True
        if self._order.writable:
            self._channels.send_order(self._message)
        self._go_when_ready()

    # -- the loop -----------------------------------------------------------------------------

    def _step(self) -> None:
        now = time.monotonic()
        wait = max(0.0, min(self._deadline, self._next_timer()) - now)
        self._loop.turn(min(wait, 1.0))
        now = time.monotonic()
        if self._finished:
            if now >= self._deadline:
                self._ended = True
            return
        if self._started is None:
            if now >= self._deadline:
                self._fail(f"the sandbox was not ready within {_SET_UP_S:g} s")
            return
        self._enforce(now)

    def _next_timer(self) -> float:
        if self._started is None or self._finished:
            return self._deadline
        if self._soft_sent:
            return min(self._next_sample, self._deadline)
        return min(self._next_sample, self._started + self._order.limits.soft_s)

    def _enforce(self, now: float) -> None:
        assert self._started is not None
        limits = self._order.limits
        if now >= self._deadline:
            refused = self._group is not None and self._group.refused_processes() > 0
            self._finish(
                endings.processes(self._order)
                if refused
                else endings.hard_limit(
                    self._order, self._channels.faults.text(), self._meter.processes
                )
            )
        elif not self._soft_sent and now >= self._started + limits.soft_s:
            self._soft_sent = True
            self._signal(signal.SIGXCPU)
        elif now >= self._next_sample:
            used = self._meter.sample()
            # A fold of an hour need not be looked at twenty times a second, and none that the
            # kernel itself limits and measures.
            exact = self._group is not None and self._group.measures_peak
            pace = 1 if now - self._started < 10 and not exact else 4
            self._next_sample = now + _SAMPLE_S * pace
            killed = self._group is not None and self._group.oom_kills() > 0
            if killed or used > limits.memory_mb * _MB + _MEMORY_SLACK:
                self._finish(endings.memory(self._order))
            elif self._meter.processes > limits.processes + 2:
                self._finish(endings.processes(self._order))
            elif not self._full and now >= self._next_disk:
                self._next_disk = now + _DISK_SAMPLE_S
                if folder_bytes(self._home, limits.disk_mb * _MB) > limits.disk_mb * _MB:
                    self._finish(endings.disk(self._order))

    def _on_cancel(self) -> None:
        self._disarm()
        if not self._finished:
            self._finish(endings.cancelled())

    def _on_zygote(self) -> None:
        try:
            self._status, _ = wire.receive(self._connection)
        except (ConnectionError, ValueError):
            self._status = None
            if not self._finished:
                self._problem = "the zygote ended during the run"
        self._loop.unwatch(self._connection.fileno())
        self._ended = True
        if not self._finished:
            self._channels.drain_texts()
            while not self._finished and self._channels.has_more():
                self._on_control()

    # -- what the fold says -------------------------------------------------------------------

    def _on_control(self) -> None:
        try:
            self._channels.hear(heed=not self._finished)
        except Corrupt:
            self._finish(endings.corrupt())
        except TooMuch:
            self._finish(endings.too_much(self._order))

    def _on_frame(self, kind: bytes, body: Any) -> None:
        if self._finished:
            return
        if self._started is None:
            if kind == wire.READY and not self._ready:
                self._ready = True
                self._go_when_ready()
                return
            problem = body if kind == wire.BROKEN else "it spoke out of turn"
            self._fail(f"the sandbox could not be set up: {problem}")
        elif kind == wire.BEGIN:
            if not self._phases.may_begin(body):
                raise Corrupt
            self._end_phase()
            self._phases.begin(body)
            self._channels.acknowledge()
        elif kind == wire.END:
            self._end_phase()
            self._channels.acknowledge()
        elif kind == wire.ERROR:
            self._finish(judge.by_exception(body, self._order))
        elif kind == wire.DONE:
            self._end_phase()
            self._finish(None)
        else:
            raise Corrupt

    def _go_when_ready(self) -> None:
        if not (self._ready and self._furnished):
            return
        self._meter.start()
        self._started = time.monotonic()
        self._deadline = self._started + self._order.limits.hard_s
        self._next_sample = self._started + _SAMPLE_S
        self._channels.acknowledge()

    def _end_phase(self) -> None:
        with self.changed:
            if self._phases.end():
                self.urgent = True
                self.changed.notify()

    # -- the end ------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        if self._pidfd is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _finish(self, ending: judge.Ending | None) -> None:
        """Kill everything of the run; what it says from now on is not heard."""
        self._phases.measure()
        self._finished, self._ending = True, ending
        # A kill cannot be taken back: only where somebody else writes to the same folder next is
        # the end of a well ended run worth waiting for.
        self._ended = ending is None and self._problem is None and not self._order.writable
        self._deadline = time.monotonic() + _END_S
        with contextlib.suppress(OSError):
            self._connection.send(b"kill")
        self._channels.drain_texts()

    def _fail(self, problem: str) -> None:
        self._problem = problem
        self._finish(None)

    def _judge(self) -> Verdict:
        status = self._status or {}
        if not self._finished and self._started is None and self._problem is None:
            self._problem = (
                f"the sandbox could not be set up: {self._channels.log.text() or 'it ended'}"
            )
        if not self._finished and self._problem is None:
            self._phases.measure()
            self._ending = judge.by_status(
                status.get("status", 0),
                self._channels.faults.text(),
                self._order,
                self._phases.running,
            )
            self._finished = True
        if self._problem is not None:
            msg = f"{self._order.key}: {self._problem}"
            raise OSError(msg)
        ending = self._ending
        if ending is not None and ending.reason in (
            Reason.CRASHED,
            Reason.USER_ERROR,
            Reason.NO_RESULT,
            Reason.OUT_OF_MEMORY,
        ):
            ending = self._look_for_cause(ending, status)
        return self._verdict(ending)

    def _look_for_cause(self, ending: judge.Ending, status: dict[str, Any]) -> judge.Ending:
        """Prefer what the kernel counted to what the fold said."""
        if status.get("oom_kills") and ending.reason != Reason.OUT_OF_MEMORY:
            return endings.memory(self._order, ending)
        return ending

    def _verdict(self, ending: judge.Ending | None) -> Verdict:
        log = self._channels.log.text()
        faults = judge.trim_dump(self._channels.faults.text())
        shown = ending is not None and ending.reason in (Reason.CRASHED, Reason.HARD_TIMEOUT)
        if faults and shown:
            log += ("" if log.endswith("\n") or not log else "\n") + faults
        outputs: tuple[Output, ...] = self._channels.outputs
        if ending is None:
            return Verdict(
                reason=None, log=log, measures=dict(self._phases.measures), outputs=outputs
            )
        return Verdict(
            reason=ending.reason,
            phase=self._phases.running,
            detail=ending.detail,
            traceback=ending.traceback,
            user_line=ending.user_line,
            log=log,
            measures=dict(self._phases.measures),
            outputs=outputs,
        )

    def _disarm(self) -> None:
        # Under the lock: another thread must not write to a number that was given away.
        with self.changed:
            if self._wake is not None:
                self._loop.unwatch(self._wake)
                os.close(self._wake)
                self._wake = None

    def _close(self) -> None:
        self._disarm()
        self._connection.close()
        self._channels.close()
        if self._init is not None:
            self._init.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        if self._group is not None:
            self._group.close()
