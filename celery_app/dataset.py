"""Datasets as folds may see them: loaded once per machine, in a sandbox, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from celery_app.execution import Executor, Order, Sign, Verdict
from celery_app.files import Files
from celery_app.layout import (
    AROUND_RAW,
    AROUND_SPECIFIC,
    DATA_PACKAGE,
    MADE,
    PREPARED,
    PROGRAM_CUSTOM_FOLD,
    PROGRAM_FOLD,
    PROGRAM_PREPARE,
    PROGRAM_PREPARE_CUSTOM,
    RAW,
    TEST_FILE,
    TRAIN_FILE,
)
from celery_app.progress import MustEnd, Progress
from datarun_ext.protocol import Dataset, File, Limits, Reason

FORMAT = 1
"""Raised when what `prepare` writes changes, so that older entries are not used."""


class PrepareFailed(Exception):
    """A dataset could not be loaded; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.detail)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a fold needs of its dataset: the program that runs it, and the folders that it sees."""

    program: str
    readonly: dict[str, str]


class Datasets:
    """Prepares datasets for folds."""

    def __init__(self, files: Files, executor: Executor, threads: int) -> None:
        self.files = files
        self.executor = executor
        self.threads = threads

    @contextmanager
    def prepared(self, dataset: Dataset, limits: Limits, progress: Progress) -> Iterator[Prepared]:
        """Give a dataset, ready for folds, while the context is open.

        Raises
        ------
        PrepareFailed
            If its files are not what they should be, or ``specific.py`` fails.
        """
        custom = dataset.kind == "custom"
        with ExitStack() as stack:
            sources = dataset.files if custom else _split_files(dataset)

            def make(part: Path) -> None:
                part.mkdir()
                with self._sources(dataset, sources, progress) as readonly:
                    self._run(dataset, limits, progress, readonly, part)

            key = _key(dataset, sources)
            folder = stack.enter_context(
                self.files.cache.entry("datasets", key, make, progress.tick)
            )
            readonly = {PREPARED: str(folder)}
            if custom:
                modules = [file for file in dataset.files if file.name.endswith(".py")]
                specific = self.files.folder(modules, DATA_PACKAGE, progress.tick)
                readonly[AROUND_SPECIFIC] = str(stack.enter_context(specific))
            yield Prepared(PROGRAM_CUSTOM_FOLD if custom else PROGRAM_FOLD, readonly)

    @contextmanager
    def _sources(
        self, dataset: Dataset, sources: tuple[File, ...], progress: Progress
    ) -> Iterator[dict[str, str]]:
        with ExitStack() as stack:
            if dataset.kind == "custom":
                folder = self.files.folder(sources, DATA_PACKAGE, progress.tick)
                yield {AROUND_RAW: str(stack.enter_context(folder))}
                return
            yield {
                f"{RAW}/{file.name}": str(stack.enter_context(self.files.file(file, progress.tick)))
                for file in sources
            }

    def _run(
        self,
        dataset: Dataset,
        limits: Limits,
        progress: Progress,
        readonly: dict[str, str],
        part: Path,
    ) -> None:
        custom = dataset.kind == "custom"
        verdict = self.executor.run(
            Order(
                key=f"dataset-{dataset.id}",
                program=PROGRAM_PREPARE_CUSTOM if custom else PROGRAM_PREPARE,
                arguments={"target_column": dataset.target_column},
                readonly=readonly,
                writable={MADE: str(part)},
                code=RAW if custom else None,
                limits=setup_limits(limits),
                threads=self.threads,
            ),
            quiet(progress),
        )
        if progress.end is not None:
            raise MustEnd(progress.end)
        if verdict.reason is not None:
            raise PrepareFailed(verdict)


def quiet(progress: Progress) -> _Quiet:
    """Renew the lease by the signs of a set-up program, whose text is no fold's log."""
    return _Quiet(progress)


@dataclass(frozen=True, slots=True)
class _Quiet:
    progress: Progress

    def __call__(self, sign: Sign) -> bool:
        return self.progress.on_sign(Sign(done=(), measures={}, log=""))


def setup_limits(limits: Limits) -> Limits:
    """Return the limits of a set-up program: those of a fold, where they are generous enough."""
    least = Limits(soft_s=1800, hard_s=1860, memory_mb=8192, processes=256, disk_mb=20_000)
    return Limits(
        soft_s=max(limits.soft_s, least.soft_s),
        hard_s=max(limits.hard_s, least.hard_s),
        memory_mb=max(limits.memory_mb, least.memory_mb),
        processes=max(limits.processes, least.processes),
        disk_mb=max(limits.disk_mb, least.disk_mb),
    )


def _split_files(dataset: Dataset) -> tuple[File, ...]:
    files = {file.name: file for file in dataset.files}
    missing = [name for name in (TRAIN_FILE, TEST_FILE) if name not in files]
    if missing:
        raise PrepareFailed(
            Verdict(
                reason=Reason.DATA_ERROR,
                detail=f"The dataset has no {missing[0]}: split it before folds are trained on it.",
            )
        )
    return files[TRAIN_FILE], files[TEST_FILE]


@cache
def _versions() -> tuple[str, ...]:
    """Return what the stored form may depend on; looking it up takes milliseconds."""
    return version("pandas"), version("numpy")


def _key(dataset: Dataset, sources: tuple[File, ...]) -> str:
    identity = [
        FORMAT,
        *_versions(),
        dataset.kind,
        dataset.target_column,
        sorted((file.name, file.sha256) for file in sources),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
