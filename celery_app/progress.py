"""Tell the master how a run goes, renew its lease, and learn when it must end."""

from __future__ import annotations

import logging
import time
from enum import StrEnum

from celery_app.execution import Sign
from celery_app.master import MasterAway, MasterClient, MasterError
from celery_app.shared import Shared
from datarun_ext.protocol import FoldProgress, Measure, Phase, Reason, SplitProgress

logger = logging.getLogger(__name__)

LOG_EVERY_S = 0.25
"""New text is sent at most so often."""
PHASE_AFTER_S = 0.05
"""A phase that ends sooner after the last message travels with the next: short folds stay cheap."""
TIMEOUT_S = 5.0
MOST_LOG = 128 * 1024
"""Characters of new text that are kept while the master is away; the outcome has the log."""


class End(StrEnum):
    """Why a run must end before it has finished."""

    UNWANTED = "the master no longer wants it"
    LEASE_LOST = "the master could not be reached for longer than the lease"
    REFUSED = "the master refuses to hear of it"
    SHUTDOWN = "runner shut down"


REASONS = {
    End.UNWANTED: Reason.CANCELLED,
    End.LEASE_LOST: Reason.PLATFORM,
    End.REFUSED: Reason.PLATFORM,
    End.SHUTDOWN: Reason.RUNNER_STOPPED,
}
"""What the master is told of a run that had to end."""


class MustEnd(Exception):
    """Raised where a run that has not reached the sandbox yet must end."""

    def __init__(self, why: End) -> None:
        super().__init__(why.value)
        self.why = why


class Progress:
    """The lease of one run, and what the master has not been told yet.

    Parameters
    ----------
    master : MasterClient
        Where to.
    shared : Shared
        Heartbeat, lease, and whether the runner ends.
    subject : FoldProgress or SplitProgress
        A message without news; names the run.
    """

    def __init__(
        self, master: MasterClient, shared: Shared, subject: FoldProgress | SplitProgress
    ) -> None:
        self.master = master
        self.shared = shared
        self.subject = subject
        self.end: End | None = None
        self._renewed = self._tried = time.monotonic()
        self._alarm = shared.alarm
        self._log = ""
        self._done: tuple[Phase, ...] = ()
        self._told: tuple[Phase, ...] = ()
        self._measures: dict[Phase, Measure] = {}

    def on_sign(self, sign: Sign) -> bool:
        """Take a sign of a running order; False when the order must end."""
        self._log = (self._log + sign.log)[-MOST_LOG:]
        self._done, self._measures = sign.done, dict(sign.measures)
        return self._go_on()

    def tick(self) -> None:
        """Renew the lease during anything that takes long; raises `MustEnd`."""
        if not self._go_on():
            assert self.end is not None
            raise MustEnd(self.end)

    def _go_on(self) -> bool:
        if self.end is None and self.shared.stopped:
            self.end = End.SHUTDOWN
        if self.end is None and self._is_due():
            self._send()
        return self.end is None

    def _is_due(self) -> bool:
        since = time.monotonic() - self._tried
        if since >= self.shared.heartbeat_s or self.shared.alarm != self._alarm:
            return True
        if isinstance(self.subject, SplitProgress):
            return False
        if self._done != self._told and since >= PHASE_AFTER_S:
            return True
        return bool(self._log) and since >= LOG_EVERY_S

    def _send(self) -> None:
        self._tried = time.monotonic()
        self._alarm = self.shared.alarm
        message = self.subject
        log, done = self._log, self._done
        if isinstance(message, FoldProgress):
            message = message.model_copy(
                update={"done": done, "measures": self._measures, "log": log}
            )
        try:
            wanted = self.master.progress(message, timeout=min(TIMEOUT_S, self.shared.lease_s / 4))
        except MasterAway as error:
            if time.monotonic() - self._renewed > self.shared.lease_s:
                self.end = End.LEASE_LOST
                logger.error("a run is given up, its lease is lost: %s", error)
        except MasterError as error:
            self.end = End.REFUSED
            logger.error("a run is given up, the master refuses its progress: %s", error)
        else:
            self._renewed, self._told = self._tried, done
            self._log = self._log[len(log) :]
            if not wanted:
                self.end = End.UNWANTED
