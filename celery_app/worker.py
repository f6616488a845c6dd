"""A runner: registers with the master, and works off its queues until it is told to end."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from importlib.metadata import version
from typing import Any

from celery import signals
from celery.worker import state

from celery_app.app import make_app
from celery_app.config import RunnerConfig
from celery_app.master import MasterClient, MasterError
from celery_app.pool import SlotPool
from celery_app.sandboxes import Sandboxes
from celery_app.secrets import hide_memory
from celery_app.shared import Shared
from celery_app.slot import Slot
from celery_app.tasks import add_tasks
from datarun_ext.protocol import PROTOCOL, Beat, Registration, SandboxLevel

logger = logging.getLogger(__name__)

PACKAGES = ("datarun", "numpy", "pandas", "scikit-learn", "celery")
MOST_WAIT_S = 60.0
AT_LEAST_S = 0.05
"""Pause between two signs of life, however fast alarms come."""
LATE_S = 15.0
"""How much longer than its grace a runner may take to end before it is ended."""


class Runner:
    """One runner: a Celery worker with a process per slot.

    Parameters
    ----------
    config : RunnerConfig
        Its settings.
    shared : Shared
        Where the slots see what holds for all.
    level : SandboxLevel
        How well folds are isolated.
    """

    def __init__(self, config: RunnerConfig, shared: Shared, level: SandboxLevel) -> None:
        self.config = config
        self.shared = shared
        self.level = level
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._main = os.getpid()
        self._slot: tuple[int, Slot] | None = None
        self._ended = threading.Event()
        self._wake: int | None = None

    def register(self, master: MasterClient) -> None:
        """Introduce the runner to the master; raises `MasterError` when it is refused."""
        registration = Registration(
            protocol=PROTOCOL,
            name=self.name,
            host=socket.gethostname(),
            pid=self._main,
            slots=self.config.slots,
            queues=self.config.queues,
            sandbox=self.level,
            versions={"python": sys.version.split()[0], **{p: version(p) for p in PACKAGES}},
        )
        answer = master.register(registration)
        self.shared.registered(answer.runner_id, answer.heartbeat_s, answer.lease_s)
        logger.info("registered as runner %s: %s", answer.runner_id, self.name)

    def run(self) -> int:
        """Work until told to end; returns the exit code."""
        app = make_app(self.config.broker_url)
        add_tasks(app, self.slot)
        signals.worker_ready.connect(self._on_ready, weak=False)
        signals.worker_shutting_down.connect(self._on_shutting_down, weak=False)
        signals.worker_process_init.connect(self._on_slot_start, weak=False)
        signals.setup_logging.connect(_keep_logging, weak=False)
        worker = app.Worker(
            hostname=f"datarun@{self.name}",
            pool=SlotPool,
            concurrency=self.config.slots,
            queues=list(self.config.queues),
            optimization="fair",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
        self._ended.set()
        return int(worker.exitcode or 0)

    def slot(self) -> Slot:
        """Return the parts of this process."""
        if self._slot is None or self._slot[0] != os.getpid():
            self._slot = os.getpid(), Slot.open(self.config, self.shared, Sandboxes(self.shared))
        return self._slot[1]

    def _on_slot_start(self, **_: Any) -> None:
        hide_memory()
        self.slot()

    def _on_ready(self, sender: Any, **_: Any) -> None:
        # The event loop sleeps up to a second, signals do not wake it.
        reader, self._wake = os.pipe()
        sender.hub.add_reader(reader, os.read, reader, 1)
        threading.Thread(target=self._beat_for_ever, name="beat", daemon=True).start()

    def _on_shutting_down(self, **_: Any) -> None:
        self.shared.stop(self.config.grace_s)
        if self._wake is not None:
            os.write(self._wake, b"!")
        threading.Thread(target=self._end_late, name="end", daemon=True).start()

    def _end_late(self) -> None:
        if not self._ended.wait(self.config.grace_s + LATE_S):
            logger.error("the runner does not end by itself and is ended")
            os._exit(1)

    def _beat_for_ever(self) -> None:
        """Show the master that the runner lives."""
        master = MasterClient(self.config.master_url, self.config.token)
        pause = 0.0
        while not self._ended.wait(pause):
            pause = self.shared.heartbeat_s
            try:
                answer = master.beat(
                    Beat(
                        runner_id=self.shared.runner_id,
                        busy=len(state.active_requests),
                        alarm=self.shared.alarm,
                        wait_s=min(self.shared.heartbeat_s, MOST_WAIT_S),
                    )
                )
                if answer is None:
                    self.register(master)
                else:
                    # The master has kept its answer back as long as it liked.
                    self.shared.alarm, pause = answer.alarm, AT_LEAST_S
            except MasterError as error:
                logger.warning("no sign of life could be sent: %s", error)
            except Exception:
                logger.exception("no sign of life could be sent")


def end_with_parent(parent: int) -> None:
    """End this runner, soon and without grace, when the process that started it is gone."""

    def watch() -> None:
        try:
            descriptor = os.pidfd_open(parent)
        except OSError:
            pass
        else:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
        logger.warning("the process that started this runner is gone: the runner ends")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _keep_logging(**_: Any) -> None:
    """Leave logging as `__main__` has set it up; Celery does not touch it when this is there."""
