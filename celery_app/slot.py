"""What one slot of a runner works with; each slot is one process and does one thing at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass

from celery_app.cache import Cache
from celery_app.config import RunnerConfig
from celery_app.dataset import Datasets
from celery_app.execution import Executor
from celery_app.files import Files
from celery_app.master import MasterClient
from celery_app.shared import Shared
from datarun_ext.protocol import Limits

RESULT_PATIENCE_S = 3600.0
"""How long a result is kept for a master that is away; a late one is fenced, so it does no harm."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The parts that tasks use.

    Progress has a connection of its own, `pulse`: it is told while a file flows over `master`.
    """

    config: RunnerConfig
    shared: Shared
    master: MasterClient
    pulse: MasterClient
    executor: Executor
    files: Files
    datasets: Datasets
    threads: int

    @classmethod
    def open(cls, config: RunnerConfig, shared: Shared, executor: Executor) -> Slot:
        """Make the parts of this process."""
        master = MasterClient(config.master_url, config.token)
        files = Files(Cache(config.cache_dir, config.cache_mb * 10**6), master)
        threads = max(1, len(os.sched_getaffinity(0)) // config.slots)
        return cls(
            config=config,
            shared=shared,
            master=master,
            pulse=MasterClient(config.master_url, config.token),
            executor=executor,
            files=files,
            datasets=Datasets(files, executor, threads),
            threads=threads,
        )

    def limits(self, limits: Limits) -> Limits:
        """Return limits within the runner's own cap."""
        soft_s = min(limits.soft_s, self.config.soft_s or limits.soft_s)
        hard_s = min(limits.hard_s, self.config.hard_s or limits.hard_s)
        if (soft_s, hard_s) == (limits.soft_s, limits.hard_s):
            return limits
        return limits.model_copy(update={"soft_s": min(soft_s, hard_s), "hard_s": hard_s})

    @property
    def result_patience_s(self) -> float:
        """How long to try to hand in a result."""
        return 2.0 if self.shared.stopping else RESULT_PATIENCE_S
