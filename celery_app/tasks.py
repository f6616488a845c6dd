"""The Celery tasks. Their bodies never raise: Celery would end the worker or run them again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from celery_app.foldrun import run_fold
from celery_app.pool import SlotPool
from celery_app.preflightrun import run_preflight
from celery_app.slot import Slot
from celery_app.splitrun import run_split
from datarun_ext.protocol import TASK_FOLD, TASK_PREFLIGHT, TASK_SPLIT

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger(__name__)


def add_tasks(app: Celery, slot: Callable[[], Slot]) -> None:
    """Let an application run folds, splits and trials.

    Parameters
    ----------
    app : Celery
        The runner's application.
    slot : callable
        Returns the parts of the process that it is called in.
    """

    @app.task(name=TASK_FOLD, shared=False)  # type: ignore[untyped-decorator]
    def fold(fold_id: int, attempt: int) -> None:
        _safely(TASK_FOLD, lambda: run_fold(slot(), fold_id, attempt), slot)

    @app.task(name=TASK_SPLIT, shared=False)  # type: ignore[untyped-decorator]
    def split(task_id: str, attempt: int) -> None:
        _safely(TASK_SPLIT, lambda: run_split(slot(), task_id, attempt), slot)

    @app.task(name=TASK_PREFLIGHT, shared=False)  # type: ignore[untyped-decorator]
    def preflight(task_id: str, attempt: int) -> None:
        _safely(TASK_PREFLIGHT, lambda: run_preflight(slot(), task_id, attempt), slot)


def _safely(name: str, work: Callable[[], None], slot: Callable[[], Slot]) -> None:
    """Do the work, whatever happens.

    What is left undone is found by the master: its lease runs out and it is sent again.
    """
    try:
        if not slot().shared.stopping:
            with SlotPool.busy.at_work():
                work()
    except BaseException:
        logger.exception("%s failed; the master will send it again", name)
