"""The zygote of a runner, replaced when it dies, for the main process and for its slots."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time

from celery_app.config import RunnerConfig
from celery_app.execution import OnSign, Order, Sign, Verdict
from celery_app.shared import Shared
from celery_app.zygote.client import Zygote
from datarun_ext.protocol import Reason, SandboxLevel

logger = logging.getLogger(__name__)

RESTART_S = 60.0
"""How long a slot waits for the successor of a zygote that died."""
_POLL_S = 0.1


class ZygoteKeeper:
    """Starts the zygote, and another one whenever it dies; for the main process."""

    def __init__(self, config: RunnerConfig, shared: Shared) -> None:
        self.config = config
        self.shared = shared
        self._closing = False
        self._zygote = self._start()

    @property
    def level(self) -> SandboxLevel:
        """How well folds are isolated."""
        return self._zygote.level

    def watch(self) -> None:
        """Begin to replace a zygote that dies."""
        threading.Thread(target=self._replace_for_ever, name="zygote", daemon=True).start()

    def close(self) -> None:
        """End the zygote and all that it runs."""
        self._closing = True
        self._zygote.close()

    def _start(self) -> Zygote:
        zygote = Zygote.start(
            cache_dir=self.config.cache_dir,
            minimum_level=self.config.minimum_level,
            max_slots=self.config.slots,
        )
        self.shared.zygote = str(zygote.path)
        return zygote

    def _replace_for_ever(self) -> None:
        while True:
            assert self._zygote.pid is not None
            _wait_for_end(self._zygote.pid)
            if self._closing:
                return
            logger.error("the zygote is gone; starting another one")
            try:
                self._zygote.close()
                self._zygote = self._start()
            except OSError as error:
                logger.error("no zygote can be started, the runner ends: %s", error)
                os._exit(1)


class Sandboxes:
    """The `Executor` of a slot: runs orders in whichever zygote the runner has."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._zygote: Zygote | None = None

    def run(self, order: Order, on_sign: OnSign) -> Verdict:
        """Run an order, once more when the zygote died under it: that is no fault of a fold."""
        path = self.shared.zygote
        try:
            return self._connected(path).run(order, on_sign)
        except OSError as error:
            logger.warning("%s: %s", order.key, error)
            if not self._wait_for_another(path, on_sign):
                return Verdict(reason=Reason.CANCELLED)
            return self._connected(self.shared.zygote).run(order, on_sign)

    def _connected(self, path: str) -> Zygote:
        if self._zygote is None or str(self._zygote.path) != path:
            self._zygote = Zygote.connect(path)
        return self._zygote

    def _wait_for_another(self, path: str, on_sign: OnSign) -> bool:
        """Wait until a zygote answers again; False when the run must end meanwhile.

        It is another one if the whole of it died, and the same if only a part had to be replaced.
        """
        deadline = time.monotonic() + RESTART_S
        while True:
            if not on_sign(Sign(done=(), measures={}, log="")):
                return False
            time.sleep(_POLL_S)
            if self.shared.zygote != path or _answers(path):
                return True
            if time.monotonic() > deadline:
                msg = f"no zygote followed the one at {path}"
                raise OSError(msg)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
    finally:
        os.close(descriptor)
