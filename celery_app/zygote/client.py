"""`Zygote`: what a runner holds to run orders in fresh sandboxed processes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celery_app.execution import OnSign, Order, Verdict
from celery_app.zygote import launch, wire
from celery_app.zygote.keeper import Keeper
from celery_app.zygote.launch import SandboxTooWeak
from datarun_ext.protocol import SandboxLevel

logger = logging.getLogger(__name__)

__all__ = ["SandboxTooWeak", "Zygote"]

_ASK_S = 60.0
_LOG_PACE_S = 0.2
_PULSE_S = 0.25


class Zygote:
    """Runs orders, each in a fresh process forked from one that has imported everything.

    Threads may share it. Other processes use `Zygote.connect` with its `path`.

    Attributes
    ----------
    path : Path
        The socket of the zygote, in a folder that only this user can enter.
    level : SandboxLevel
        How well folds are isolated.
    degraded : dict of SandboxLevel to str
        Why each stronger level is not available here.
    """

    def __init__(self, path: Path, level: SandboxLevel, start: launch.Start | None) -> None:
        self.path = path
        self.level = level
        self.degraded: dict[SandboxLevel, str] = {}
        self._start = start
        self._launched: launch.Launched | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def start(
        cls,
        *,
        cache_dir: Path | str,
        minimum_level: SandboxLevel = SandboxLevel.LIMITS,
        max_slots: int = 2,
        level: SandboxLevel | None = None,
        extra_paths: Sequence[str] = (),
        folds_per_zygote: int = 2000,
    ) -> Self:
        """Start a zygote at the best level that this machine allows.

        Parameters
        ----------
        cache_dir : Path
            The runner's own folder.
        minimum_level : SandboxLevel
            Below it nothing is started.
        max_slots : int
            Runs that will be under way at the same time.
        level : SandboxLevel or None
            Take this level instead of the best one.
        extra_paths : sequence of str
            More folders that every fold may read, e.g. of pretrained models.
        folds_per_zygote : int
            After as many the zygote is replaced by a fresh one.

        Raises
        ------
        SandboxTooWeak
            If the level would be below `minimum_level`; it says why.
        OSError
            If no process can be started at all.
        """
        cache = Path(cache_dir).resolve()
        cache.mkdir(parents=True, exist_ok=True)
        how = launch.Start(
            cache_dir=cache,
            minimum_level=minimum_level,
            max_slots=max_slots,
            level=level,
            extra_paths=tuple(os.path.abspath(path) for path in extra_paths),
            folds_per_zygote=folds_per_zygote,
        )
        zygote = cls(Path(), SandboxLevel.LIMITS, how)
        zygote._launch()
        return zygote

    @classmethod
    def connect(cls, path: Path | str) -> Self:
        """Use the zygote that another process of this runner has started."""
        path = Path(path)
        details = json.loads((path.parent / "level.json").read_text(encoding="utf-8"))
        return cls(path, SandboxLevel(details["level"]), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that supervises; None for one that was only connected to."""
        return None if self._launched is None else self._launched.warden.pid

    def close(self) -> None:
        """End the zygote and everything that it runs."""
        self._closed = True
        if self._owner != os.getpid():
            return
        with self._lock:
            self._end_warden()

    def run(self, order: Order, on_sign: OnSign) -> Verdict:
        """Run an order to its end.

        `on_sign` is called in this thread; when it returns False, or raises, everything that the
        run has started is killed.
        """
        connection, grant, channels = self._ask()
        with contextlib.ExitStack() as mine:
            mine.callback(_own_again, order)
            _give_writable(order, grant)
            keeper = Keeper(order, connection, grant, channels)
            thread = threading.Thread(target=keeper.run, name=f"keeper {order.key}", daemon=True)
            thread.start()
            try:
                self._report_signs(keeper, on_sign)
            finally:
                keeper.leave()
        if keeper.error is not None:
            raise keeper.error
        assert keeper.verdict is not None
        return keeper.verdict

    @staticmethod
    def _report_signs(keeper: Keeper, on_sign: OnSign) -> None:
        last = time.monotonic()
        while True:
            with keeper.changed:
                while not keeper.over and not keeper.urgent:
                    pace = _LOG_PACE_S if keeper.has_news() else _PULSE_S
                    wait = last + pace - time.monotonic()
                    if wait <= 0:
                        break
                    keeper.changed.wait(wait)
                if keeper.over:
                    return
                sign = keeper.sign()
            last = time.monotonic()
            if not on_sign(sign):
                return

    def _ask(self) -> tuple[socket.socket, dict[str, Any], list[int]]:
        """Get a fold's process; starts the zygote again if it is gone and ours."""
        for attempt in (1, 2, 3):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.settimeout(_ASK_S)
                connection.connect(os.fspath(self.path))
                grant, channels = wire.receive(connection)
                if "error" in grant:
                    msg = f"the zygote cannot make a process: {grant['error']}"
                    raise OSError(msg)
                connection.settimeout(None)
            except OSError as error:
                connection.close()
                if attempt == 3:
                    msg = f"the zygote at {self.path} does not answer: {error}"
                    raise OSError(msg) from error
                if not self._restart_if_dead():
                    time.sleep(0.1)
            else:
                return connection, grant, channels
        raise AssertionError

    def _restart_if_dead(self) -> bool:
        if self._start is None or self._closed or self._owner != os.getpid():
            return False
        with self._lock:
            if self._launched is not None and self._launched.warden.poll() is None:
                return False
            logger.warning("the zygote is gone; starting another one")
            self._end_warden()
            self._launch()
            return True

    def _launch(self) -> None:
        assert self._start is not None
        self._launched, self.degraded = launch.launch(self._start)
        self.path, self.level = self._launched.path, self._launched.level

    def _end_warden(self) -> None:
        if self._launched is not None:
            self._launched.end()
            self._launched = None


def _give_writable(order: Order, grant: dict[str, Any]) -> None:
    """Let the fold's user, who is not this one when this one is root, write where it may."""
    if os.geteuid() != 0 or grant["uid"] is None:
        return
    for path in order.writable.values():
        os.chown(path, grant["uid"], grant["uid"])


def _own_again(order: Order) -> None:
    """Take back what a fold's user has made."""
    if os.geteuid() != 0:
        return
    for folder in order.writable.values():
        for root, names, files in os.walk(folder):
            for name in (*names, *files):
                os.chown(os.path.join(root, name), 0, 0, follow_symlinks=False)
        with contextlib.suppress(OSError):
            os.chown(folder, 0, 0)
