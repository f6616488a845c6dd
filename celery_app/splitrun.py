"""Run one split: claim it, split in the sandbox, upload the files that it made."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import shutil
import stat
import uuid
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from celery_app.dataset import quiet, setup_limits
from celery_app.execution import Order, Verdict
from celery_app.files import FetchError
from celery_app.layout import (
    AROUND_RAW,
    DATA_PACKAGE,
    LABELS_TEST,
    LABELS_TRAIN,
    MADE,
    PROGRAM_CUSTOM_SPLIT,
    PROGRAM_SPLIT,
    RAW,
    SUMMARY,
)
from celery_app.master import MasterError
from celery_app.progress import REASONS, End, MustEnd, Progress
from celery_app.slot import Slot
from datarun_ext.protocol import (
    Claim,
    File,
    Labels,
    Reason,
    SplitJob,
    SplitOutcome,
    SplitProgress,
)

logger = logging.getLogger(__name__)


class _Summary(BaseModel):
    """What a split says of itself, which need not be true."""

    model_config = ConfigDict(extra="forbid", strict=True)

    n_train: int
    n_test: int
    columns: list[str]
    kind: Literal["classes", "numbers", "none"]
    classes: list[str]


class SplitFailed(Exception):
    """The split is the dataset's fault; the message says what is wrong."""


def run_split(slot: Slot, task_id: str, attempt: int) -> None:
    """Do what the message ``(task_id, attempt)`` announces; a stale message does nothing."""
    claim = Claim(
        runner_id=slot.shared.runner_id, id=task_id, attempt=attempt, key=uuid.uuid4().hex
    )
    job = slot.master.claim_split(claim)
    if job is None:
        return
    progress = Progress(slot.pulse, slot.shared, SplitProgress(task_id=task_id, attempt=attempt))
    try:
        outcome = _split(slot, job, progress)
    except MustEnd as end:
        outcome = _failed(job, REASONS[end.why], end.why.value)
    except SplitFailed as failure:
        outcome = _failed(job, Reason.DATA_ERROR, str(failure))
    except (OSError, FetchError, MasterError) as error:
        logger.warning("split %s.%s: %s", task_id, attempt, error)
        outcome = _failed(job, Reason.PLATFORM, str(error))
    except Exception as error:
        logger.exception("split %s.%s", task_id, attempt)
        outcome = _failed(job, Reason.PLATFORM, repr(error))
    if progress.end is not End.LEASE_LOST:
        slot.master.finish_split(outcome, patience_s=slot.result_patience_s)


def _failed(job: SplitJob, reason: Reason, detail: str, log: str = "") -> SplitOutcome:
    return SplitOutcome(
        task_id=job.task_id, attempt=job.attempt, reason=reason, detail=detail, log=log
    )


def _split(slot: Slot, job: SplitJob, progress: Progress) -> SplitOutcome:
    with _workspace(slot) as folder, ExitStack() as stack:
        if job.dataset.kind == "custom":
            made = folder / DATA_PACKAGE
            order = _custom_order(slot, job, made, progress)
        else:
            made = folder
            order = _standard_order(slot, job, made, progress, stack)
        verdict = slot.executor.run(order, quiet(progress))
        if progress.end is not None:
            raise MustEnd(progress.end)
        if verdict.reason is not None:
            return _from_verdict(job, verdict)
        summary, labels = _understood(verdict)
        files = tuple(_upload_all(slot, job, made, progress))
    return SplitOutcome(
        task_id=job.task_id,
        attempt=job.attempt,
        log=verdict.log,
        files=files,
        n_train=summary.n_train,
        n_test=summary.n_test,
        labels=labels,
        columns=tuple(summary.columns),
    )


@contextmanager
def _workspace(slot: Slot) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="split-", dir=slot.config.cache_dir / "parts"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _standard_order(
    slot: Slot, job: SplitJob, folder: Path, progress: Progress, stack: ExitStack
) -> Order:
    tables = [file for file in job.dataset.files if file.name.endswith(".csv")]
    if len(tables) != 1:
        msg = f"A dataset without specific.py needs one CSV file, this one has {len(tables)}."
        raise SplitFailed(msg)
    table = tables[0]
    path = stack.enter_context(slot.files.file(table, progress.tick))
    return Order(
        key=f"split-{job.task_id}",
        program=PROGRAM_SPLIT,
        arguments={
            "file": table.name,
            "target_column": job.dataset.target_column,
            "workflow_elements": list(job.dataset.workflow_elements),
            "held_out_test": job.held_out_test,
            "random_state": job.random_state,
        },
        readonly={f"{RAW}/{table.name}": str(path)},
        writable={MADE: str(folder)},
        limits=setup_limits(job.limits),
        threads=slot.threads,
    )


def _custom_order(slot: Slot, job: SplitJob, folder: Path, progress: Progress) -> Order:
    folder.mkdir()
    # The program may run as another user; the folder around is closed to everybody else.
    folder.chmod(0o777)
    slot.files.copy(job.dataset.files, folder, progress.tick)
    return Order(
        key=f"split-{job.task_id}",
        program=PROGRAM_CUSTOM_SPLIT,
        arguments={"workflow_elements": list(job.dataset.workflow_elements)},
        writable={AROUND_RAW: str(folder.parent)},
        code=RAW,
        limits=setup_limits(job.limits),
        threads=slot.threads,
    )


def _from_verdict(job: SplitJob, verdict: Verdict) -> SplitOutcome:
    assert verdict.reason is not None
    blamed = Reason.DATA_ERROR if verdict.reason is Reason.USER_ERROR else verdict.reason
    log = "\n".join(filter(None, (verdict.log.rstrip(), verdict.traceback.rstrip())))
    return _failed(job, blamed, verdict.detail, log)


def _understood(verdict: Verdict) -> tuple[_Summary, Labels]:
    """Check what the program says: the organiser's code ran in the same process."""
    outputs: Any = {name: verdict.output(name) for name in (SUMMARY, LABELS_TRAIN, LABELS_TEST)}
    try:
        summary = _Summary.model_validate(json.loads(outputs[SUMMARY].data))
        train, test = outputs[LABELS_TRAIN].data, outputs[LABELS_TEST].data
    except (AttributeError, ValueError, ValidationError):
        msg = "The split ended without saying what it made."
        raise SplitFailed(msg) from None
    labelled = summary.kind != "none"
    sizes = (8 * summary.n_train, 8 * summary.n_test) if labelled else (0, 0)
    if min(summary.n_train, summary.n_test) < 1 or (len(train), len(test)) != sizes:
        msg = (
            f"The split has {summary.n_train} rows to train on and {summary.n_test} to test on, "
            "with labels that do not match; both must have at least one row."
        )
        raise SplitFailed(msg)
    labels = Labels(
        kind=summary.kind,
        classes=tuple(summary.classes),
        train=_pack(train),
        test=_pack(test),
    )
    return summary, labels


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode() if data else ""


def _upload_all(slot: Slot, job: SplitJob, folder: Path, progress: Progress) -> Iterator[File]:
    """Send every file that is new or changed to the master."""
    known = {file.name: file.sha256 for file in job.dataset.files}
    names = sorted(name for name in os.listdir(folder) if name != "__pycache__")
    hashes = {name: _regular_hash(folder / name, progress) for name in names}
    for name, sha256 in hashes.items():
        if known.get(name) == sha256:
            continue
        sent = slot.master.upload(
            folder / name,
            raw_data_id=job.dataset.id,
            name=name,
            task_id=job.task_id,
            attempt=job.attempt,
            waiting=progress.tick,
        )
        if sent.sha256 != sha256:
            msg = f"{name} did not arrive as it was sent"
            raise FetchError(msg)
        progress.tick()
        yield sent


def _regular_hash(path: Path, progress: Progress) -> str:
    """Hash a file; anything else, as a link out of the folder, is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        msg = f"The split made {path.name!r}, which cannot be read: {error.strerror}."
        raise SplitFailed(msg) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        msg = (
            f"The split made {path.name!r}, which is no file: prepare_data must write its "
            "files beside those that were sent."
        )
        raise SplitFailed(msg)
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            progress.tick()
    return digest.hexdigest()
