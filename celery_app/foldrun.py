"""Run one fold: claim it, get what it needs, run it in the sandbox, hand in what came out."""

from __future__ import annotations

import logging
import math
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from celery_app.dataset import Prepared, PrepareFailed
from celery_app.execution import Order, Output, Verdict
from celery_app.files import FetchError
from celery_app.layout import AROUND_CODE, CODE, FULL_TRAIN, SUBMISSION_PACKAGE, TEST
from celery_app.master import MasterError, Refused
from celery_app.progress import REASONS, End, MustEnd, Progress
from celery_app.slot import Slot
from datarun_ext.protocol import Claim, FoldJob, FoldOutcome, FoldProgress, PreflightJob, Reason

logger = logging.getLogger(__name__)

MOST_DIMENSIONS = 8


class NotUsable(Exception):
    """What should be predictions is something else; the message says what."""


def run_fold(slot: Slot, fold_id: int, attempt: int) -> None:
    """Do what the message ``(fold_id, attempt)`` announces; a stale message does nothing."""
    claim = Claim(
        runner_id=slot.shared.runner_id, id=fold_id, attempt=attempt, key=uuid.uuid4().hex
    )
    job = slot.master.claim_fold(claim)
    if job is None:
        return
    progress = Progress(slot.pulse, slot.shared, FoldProgress(fold_id=fold_id, attempt=attempt))
    try:
        outcome, full_train, test = _train_and_test(slot, job, progress)
    except MustEnd as end:
        outcome, full_train, test = _ended(job, end.why), b"", b""
    except PrepareFailed as failure:
        outcome, full_train, test = _unprepared(job, failure.verdict), b"", b""
    except (OSError, FetchError, MasterError) as error:
        logger.warning("fold %s.%s: %s", fold_id, attempt, error)
        outcome, full_train, test = _fault(job, str(error)), b"", b""
    except Exception as error:
        logger.exception("fold %s.%s", fold_id, attempt)
        outcome, full_train, test = _fault(job, repr(error)), b"", b""
    _hand_in(slot, progress, outcome, full_train, test)


def _train_and_test(
    slot: Slot, job: FoldJob, progress: Progress
) -> tuple[FoldOutcome, bytes, bytes]:
    with (
        slot.files.folder(job.files, SUBMISSION_PACKAGE, progress.tick) as code,
        slot.datasets.prepared(job.dataset, job.limits, progress) as dataset,
    ):
        key = f"fold-{job.fold_id}.{job.attempt}"
        order = order_of(slot, job, key=key, code=code, dataset=dataset)
        verdict = slot.executor.run(order, progress.on_sign)
    if progress.end is not None:
        raise MustEnd(progress.end)
    return judge(job, verdict)


def order_of(
    slot: Slot, job: FoldJob | PreflightJob, *, key: str, code: Path, dataset: Prepared
) -> Order:
    """Return the order to train and test a submission, or to try it on a few rows."""
    arguments: dict[str, Any] = {
        "target_column": job.dataset.target_column,
        "workflow_elements": list(job.dataset.workflow_elements),
        "train_is": job.train_is,
        "n_train": job.n_train,
        "n_test": job.n_test,
    }
    if isinstance(job, PreflightJob):
        arguments["few_rows"] = True
    return Order(
        key=key,
        program=dataset.program,
        arguments=arguments,
        readonly={AROUND_CODE: str(code), **dataset.readonly},
        code=CODE,
        limits=slot.limits(job.limits),
        threads=slot.threads,
    )


def judge(job: FoldJob, verdict: Verdict) -> tuple[FoldOutcome, bytes, bytes]:
    """Turn a verdict into an outcome; predictions are believed only after a check of their own."""
    outcome = FoldOutcome(
        fold_id=job.fold_id,
        attempt=job.attempt,
        reason=verdict.reason,
        phase=verdict.phase,
        detail=verdict.detail,
        traceback=verdict.traceback,
        user_line=verdict.user_line,
        log=verdict.log,
        measures=dict(verdict.measures),
    )
    if verdict.reason is not None:
        return outcome, b"", b""
    try:
        full_train, full_train_shape = checked(verdict.output(FULL_TRAIN), job.n_train)
        test, test_shape = checked(verdict.output(TEST), job.n_test)
    except NotUsable as error:
        detail = f"The fold ended without usable predictions: {error}."
        failed = {"reason": Reason.NO_RESULT, "detail": detail}
        return outcome.model_copy(update=failed), b"", b""
    done = outcome.model_copy(
        update={
            "full_train_shape": full_train_shape,
            "full_train_dtype": _dtype(full_train),
            "test_shape": test_shape,
            "test_dtype": _dtype(test),
        }
    )
    return done, full_train.data, test.data


def checked(output: Output | None, rows: int) -> tuple[Output, tuple[int, ...]]:
    """Return predictions and their shape; raises `NotUsable` when they are not as described."""
    if output is None:
        msg = "they are missing"
        raise NotUsable(msg)
    shape: Any = output.meta.get("shape")
    whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or not 1 <= len(shape) <= MOST_DIMENSIONS or shape[0] != rows:
        msg = f"their shape is given as {str(shape)[:60]}, {rows} rows are expected"
        raise NotUsable(msg)
    if math.prod(shape) * 8 != len(output.data):
        msg = f"{len(output.data)} bytes do not fit the shape {shape}"
        raise NotUsable(msg)
    if not np.isfinite(np.frombuffer(output.data, dtype="<f8")).all():
        msg = "some are not finite"
        raise NotUsable(msg)
    return output, tuple(shape)


def _dtype(output: Output) -> str:
    return str(output.meta.get("dtype", ""))[:40]


def _ended(job: FoldJob, why: End) -> FoldOutcome:
    return FoldOutcome(
        fold_id=job.fold_id, attempt=job.attempt, reason=REASONS[why], detail=why.value
    )


def _fault(job: FoldJob, detail: str) -> FoldOutcome:
    return FoldOutcome(
        fold_id=job.fold_id, attempt=job.attempt, reason=Reason.PLATFORM, detail=detail
    )


def _unprepared(job: FoldJob, verdict: Verdict) -> FoldOutcome:
    own = verdict.reason in (Reason.PLATFORM, Reason.CANCELLED)
    return FoldOutcome(
        fold_id=job.fold_id,
        attempt=job.attempt,
        reason=Reason.PLATFORM if own else Reason.DATA_ERROR,
        detail=f"The dataset {job.dataset.name} cannot be loaded: {verdict.detail}",
        traceback=verdict.traceback,
        user_line=verdict.user_line,
        log=verdict.log,
    )


def _hand_in(
    slot: Slot, progress: Progress, outcome: FoldOutcome, full_train: bytes, test: bytes
) -> None:
    """Send an outcome. What the master does not want any more is dropped."""
    if progress.end is End.LEASE_LOST:
        return
    try:
        patience_s = slot.result_patience_s
        if not slot.master.finish_fold(outcome, full_train, test, patience_s=patience_s):
            logger.info("fold %s.%s is fenced", outcome.fold_id, outcome.attempt)
    except Refused as refusal:
        logger.error("fold %s.%s: %s", outcome.fold_id, outcome.attempt, refusal)
        fault = FoldOutcome(
            fold_id=outcome.fold_id,
            attempt=outcome.attempt,
            reason=Reason.PLATFORM,
            detail=f"The master refused the result: {refusal}",
        )
        slot.master.finish_fold(fault)
