"""Try a submission out: claim it, train and predict on a few rows in the sandbox, report."""

from __future__ import annotations

import base64
import logging
import uuid

from celery_app.dataset import PrepareFailed
from celery_app.execution import Verdict
from celery_app.files import FetchError
from celery_app.foldrun import NotUsable, checked, order_of
from celery_app.layout import FULL_TRAIN, SUBMISSION_PACKAGE, TEST
from celery_app.master import MasterError
from celery_app.progress import MustEnd, Progress
from celery_app.slot import Slot
from datarun_ext.protocol import Claim, PreflightJob, PreflightOutcome, Reason, SplitProgress

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long to try to hand in the outcome: the person who waits for it gives up soon after."""


def run_preflight(slot: Slot, task_id: str, attempt: int) -> None:
    """Do what the message ``(task_id, attempt)`` announces; a stale message does nothing."""
    claim = Claim(
        runner_id=slot.shared.runner_id, id=task_id, attempt=attempt, key=uuid.uuid4().hex
    )
    job = slot.master.claim_preflight(claim)
    if job is None:
        return
    progress = Progress(slot.pulse, slot.shared, SplitProgress(task_id=task_id, attempt=attempt))
    try:
        verdict = _tried(slot, job, progress)
    except MustEnd as end:
        verdict = Verdict(reason=Reason.RUNNER_STOPPED, detail=end.why.value)
    except PrepareFailed as failure:
        own = failure.verdict.reason in (Reason.PLATFORM, Reason.CANCELLED)
        verdict = Verdict(
            reason=Reason.PLATFORM if own else Reason.DATA_ERROR,
            detail=f"The dataset {job.dataset.name} cannot be loaded: {failure.verdict.detail}",
            traceback=failure.verdict.traceback,
            log=failure.verdict.log,
        )
    except (OSError, FetchError, MasterError) as error:
        logger.warning("preflight %s: %s", task_id, error)
        verdict = Verdict(reason=Reason.PLATFORM, detail=str(error))
    except Exception as error:
        logger.exception("preflight %s", task_id)
        verdict = Verdict(reason=Reason.PLATFORM, detail=repr(error))
    slot.master.finish_preflight(_outcome(job, verdict), patience_s=PATIENCE_S)


def _tried(slot: Slot, job: PreflightJob, progress: Progress) -> Verdict:
    contents = {name: base64.b64decode(text) for name, text in job.files.items()}
    with (
        slot.files.given(contents, SUBMISSION_PACKAGE, progress.tick) as code,
        slot.datasets.prepared(job.dataset, job.limits, progress) as dataset,
    ):
        key = f"preflight-{job.task_id}"
        order = order_of(slot, job, key=key, code=code, dataset=dataset)
        verdict = slot.executor.run(order, progress.on_sign)
    if progress.end is not None:
        raise MustEnd(progress.end)
    if verdict.reason is None:
        try:
            checked(verdict.output(FULL_TRAIN), job.n_train)
            checked(verdict.output(TEST), job.n_test)
        except NotUsable as error:
            detail = f"It ended without usable predictions: {error}."
            return Verdict(reason=Reason.NO_RESULT, detail=detail, log=verdict.log)
    return verdict


def _outcome(job: PreflightJob, verdict: Verdict) -> PreflightOutcome:
    return PreflightOutcome(
        task_id=job.task_id,
        attempt=job.attempt,
        reason=verdict.reason,
        detail=verdict.detail,
        traceback=verdict.traceback,
        user_line=verdict.user_line,
        log=verdict.log,
    )
