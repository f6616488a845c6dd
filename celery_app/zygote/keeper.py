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

from celery_app.execution import Order, Sign, Verdict
from celery_app.measure import Meter
from celery_app.sandbox.cgroup import Group
from celery_app.zygote import endings, judge, orders, wire
from celery_app.zygote.channels import Channels
from celery_app.zygote.frames import Corrupt, TooMuch
from celery_app.zygote.limiter import MEMORY_SLACK, Limiter
from celery_app.zygote.loop import Loop
from celery_app.zygote.phases import Phases
from datarun_ext.protocol import Reason

_MB = 10**6
_SET_UP_S = 30.0
_END_S = 10.0
_BY_MEMORY = (Reason.CRASHED, Reason.USER_ERROR, Reason.NO_RESULT)
"""How it looks from inside when the kernel has killed for lack of memory."""


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
        self._limiter = Limiter(
            order,
            self._meter,
            self._group,
            home=None if self._full else self._home,
            warn=self._send_soft_limit,
        )
        self._phases = Phases(self._meter)
        self._furnished = self._ready = self._started = self._finished = False
        self._ending: judge.Ending | None = None
        self._ended = False
        self._status: dict[str, Any] | None = None
        self._problem: str | None = None
        self.urgent = False
        self.over = False
        self.verdict: Verdict | None = None
        self.error: BaseException | None = None

    def leave(self) -> None:
        """Wait for the verdict; a run that is not over ends with reason CANCELLED."""
        with self.changed:
            if not self.over and self._wake is not None:
                os.eventfd_write(self._wake, 1)
            self.changed.wait_for(lambda: self.over)

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
        with self.changed:
            self.over = True
            self.changed.notify_all()
        # Nobody waits for the rest of a run whose verdict is there.
        self._close()

    # -- setting up ---------------------------------------------------------------------------

    def _begin(self) -> None:
        order, limits = self._order, self._order.limits
        self._deadline = time.monotonic() + _SET_UP_S
        self._outer = orders.outer_paths(order, private=self._full)
        if self._init is not None:
            # What takes longest begins first.
            wire.send(self._init, orders.for_init(order, self._outer))
            self._loop.watch(self._init.fileno(), self._on_init)
        self._pidfd = os.pidfd_open(self._pid)
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
        if self._furnished or not order.writable:
            # The process locks itself while init still mounts; only a place to be opened for
            # writing must be there first.
            self._channels.send_order(self._message)
        if self._group is not None:
            # The process is at work on its order, but does not start before `_go_when_ready`.
            most = limits.memory_mb * _MB + MEMORY_SLACK
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
        running = self._started and not self._finished
        due = self._limiter.due() if running else self._deadline
        self._loop.turn(min(max(0.0, due - time.monotonic()), 1.0))
        now = time.monotonic()
        if self._finished:
            self._ended = self._ended or now >= self._deadline
        elif not self._started:
            if now >= self._deadline:
                self._fail(f"the sandbox was not ready within {_SET_UP_S:g} s")
        elif (ending := self._limiter.look(now, self._channels.faults.text)) is not None:
            self._finish(ending)

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
        if not self._started:
            if kind == wire.READY and not self._ready:
                # It does nothing until it may go, so its figures can be taken already.
                self._meter.start()
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
        self._started = True
        self._limiter.start(time.monotonic())
        self._channels.acknowledge()

    def _end_phase(self) -> None:
        with self.changed:
            if self._phases.end():
                self.urgent = True
                self.changed.notify()

    # -- the end ------------------------------------------------------------------------------

    def _send_soft_limit(self) -> None:
        if self._pidfd is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGXCPU)

    def _finish(self, ending: judge.Ending | None) -> None:
        """Kill everything of the run; what it says from now on is not heard."""
        self._phases.measure()
        self._finished, self._ending = True, ending
        # The connection's end is a kill too, and cannot be taken back: only where somebody else
        # writes to the same folder next is the end of a well ended run worth waiting for.
        self._ended = ending is None and self._problem is None and not self._order.writable
        self._deadline = time.monotonic() + _END_S
        if not self._ended:
            with contextlib.suppress(OSError):
                self._connection.send(b"kill")
        self._channels.drain_texts()

    def _fail(self, problem: str) -> None:
        self._problem = problem
        self._finish(None)

    def _judge(self) -> Verdict:
        status = self._status or {}
        if not self._finished and not self._started and self._problem is None:
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
        if ending is not None and ending.reason in _BY_MEMORY and status.get("oom_kills"):
            # What the kernel counted is preferred to what the fold said.
            ending = endings.memory(self._order, ending)
        return judge.verdict(
            ending,
            phase=self._phases.running,
            log=self._channels.log.text(),
            faults=self._channels.faults.text(),
            measures=dict(self._phases.measures),
            outputs=self._channels.outputs,
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
