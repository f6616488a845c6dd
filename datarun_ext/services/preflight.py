"""Trials: a submission is tried on a few rows by a runner before anything of it is stored.

The request waits for the answer. Its files travel in the job, and are gone with it.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, selectinload

from datarun_ext.codecs import pack_indices
from datarun_ext.config import Settings
from datarun_ext.errors import (
    Conflict,
    Fenced,
    NotFound,
    PreflightFailed,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from datarun_ext.models import RawData, SplitState, Submission, Task, TaskKind, TaskState
from datarun_ext.protocol import Claim, Limits, PreflightJob, PreflightOutcome, Reason
from datarun_ext.services.claims import FENCED, claim_task, dataset_message, own_task
from datarun_ext.services.cv import few_rows
from datarun_ext.services.database import Database, now
from datarun_ext.services.datasets import visible
from datarun_ext.services.files import clean_names
from datarun_ext.services.limits import check_limits, merge_limits
from datarun_ext.services.new import NewSubmission
from datarun_ext.services.principal import Principal

if TYPE_CHECKING:
    from datarun_ext.services.gate import Gate

ROWS = 50
"""Rows of the fold to train on, and of the training and the test set to predict, at most."""
SOFT_S, HARD_S = 5.0, 8.0
ANSWER_S = 20.0
LOOK_S = 0.5
"""Seconds between two looks at the row: the runner may have told another master."""
FILES_MAX = 1 << 20
AT_ONCE = 4
"""Trials of one person that may wait at the same time."""
FORGOTTEN_S = 60.0
"""Age of a trial that nobody waits for any more: its master was killed."""
NOT_ITS_FAULT = (Reason.PLATFORM, Reason.RUNNER_STOPPED, Reason.RUNNER_LOST, Reason.CANCELLED)
REMEDY = "Nothing was stored. Try again later, or submit without preflight."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known of a trial after a look at its row."""

    state: TaskState
    reason: str | None
    message: str
    found: Mapping[str, Any]


class Preflights:
    """Has submissions tried by a runner."""

    def __init__(
        self, *, db: Database, settings: Settings, gate: Gate, wake: Callable[[], None]
    ) -> None:
        self.db = db
        self.settings = settings
        self.answer_s = ANSWER_S
        self._wake = wake
        self._waiting: dict[str, asyncio.Event] = {}
        gate.preflight_ended.append(self._hear)

    async def check(self, *, who: Principal, new: NewSubmission) -> None:
        """Return when a submission trains and predicts on a few rows of its first fold.

        What is wrong with the request itself is left to `Submit.submit`, which comes next.

        Raises
        ------
        PreflightFailed
            If it does not, with the reason and the line.
        Conflict
            If its dataset is not split yet.
        TooLarge
            If its files have more than 1 MB.
        TooManyRequests
            If the person has several trials waiting.
        Unavailable
            If no runner has an answer in time.
        """
        for fold in new.folds:
            check_limits(fold.limits, settings=self.settings)
        task = await self.db.read(_plan, who=who, new=new, settings=self.settings)
        if task is None:
            return
        task_id = task.id
        await self.db.write(_add, task=task)
        heard = self._waiting[task_id] = asyncio.Event()
        self._wake()
        try:
            ended = await self._wait(task_id, heard)
        finally:
            del self._waiting[task_id]
            # Also when the request was given up: the runner ends it with its next sign.
            await asyncio.shield(self.db.write(_forget, task_id=task_id))
        _judge(ended, answer_s=self.answer_s)

    def _hear(self, task_id: str) -> None:
        if task_id in self._waiting:
            self._waiting[task_id].set()

    async def _wait(self, task_id: str, heard: asyncio.Event) -> Ended:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.answer_s
        while True:
            left = end - loop.time()
            try:
                async with asyncio.timeout(max(0.0, min(LOOK_S, left))):
                    await heard.wait()
            except TimeoutError:
                pass
            ended = await self.db.read(_look, task_id=task_id)
            if left <= 0 or ended.state in (TaskState.SUCCESS, TaskState.FAILURE):
                return ended


def _plan(
    session: Session, *, who: Principal, new: NewSubmission, settings: Settings
) -> Task | None:
    """Return the trial to make; None if `Submit.submit` will find the request to be wrong."""
    known = None
    if new.submission_id is not None:
        options = [selectinload(Submission.files)]
        known = session.get(Submission, new.submission_id, options=options)
    if known is not None and (new.must_be_new or not who.may_see(known.owner)):
        return None
    raw_data_id, files = new.raw_data_id, new.files
    if known is not None and not new.replace_submission:
        raw_data_id, files = known.raw_data_id, {}
    if known is not None:
        raw_data_id = known.raw_data_id if raw_data_id is None else raw_data_id
        if not files:
            _check_size(sum(file.size for file in known.files))
            files = {file.name: Path(file.path).read_bytes() for file in known.files}
    if raw_data_id is None or not files or not new.folds:
        return None
    clean = clean_names(files)
    _check_size(sum(len(data) for data in files.values()))
    dataset = visible(session, who=who, raw_data_id=raw_data_id, labels=True)
    if dataset.split_state != SplitState.DONE:
        msg = (
            f"Dataset {dataset.id} is not split, so nothing can be tried on it: split it first, "
            "or submit without preflight. Nothing was stored."
        )
        raise Conflict(msg)
    fold = new.folds[0]
    if any(fold.indices.highest >= dataset.n_train for fold in new.folds):
        return None
    return Task(
        id=str(uuid.uuid4()),
        kind=TaskKind.PREFLIGHT,
        raw_data_id=dataset.id,
        owner=who.name,
        arguments={
            "files": {
                clean[name]: base64.b64encode(data).decode("ascii") for name, data in files.items()
            },
            "train_is": pack_indices(few_rows(fold.indices.train_is, dataset, most=ROWS)),
            "n_train": min(ROWS, dataset.n_train),
            "n_test": min(ROWS, dataset.n_test),
            "limits": _limits(dataset, fold.limits, settings).model_dump(mode="json"),
        },
        created=now(),
    )


def _check_size(size: int) -> None:
    if size > FILES_MAX:
        msg = (
            f"A preflight takes files of {FILES_MAX} bytes together, these have {size}. "
            "Submit without preflight."
        )
        raise TooLarge(msg)


def _add(session: Session, *, task: Task) -> None:
    if session.get(RawData, task.raw_data_id) is None:
        raise NotFound
    waiting = session.scalar(
        select(func.count()).where(Task.kind == TaskKind.PREFLIGHT, Task.owner == task.owner)
    )
    if (waiting or 0) >= AT_ONCE:
        msg = f"{waiting} preflights of yours are waiting: wait for them. {REMEDY}"
        raise TooManyRequests(msg)
    session.add(task)


def _limits(dataset: RawData, asked: Mapping[str, Any], settings: Settings) -> Limits:
    limits = merge_limits(dataset.limits, asked, settings=settings)
    return limits.model_copy(
        update={"soft_s": min(limits.soft_s, SOFT_S), "hard_s": min(limits.hard_s, HARD_S)}
    )


def _look(session: Session, *, task_id: str) -> Ended:
    task = session.get(Task, task_id)
    if task is None:
        msg = "The dataset was deleted while the submission was tried on it. Nothing was stored."
        raise NotFound(msg)
    ended = task.state == TaskState.FAILURE
    found = task.arguments if ended else {}
    return Ended(state=task.state, reason=task.reason, message=task.message, found=found)


def _judge(ended: Ended, *, answer_s: float) -> None:
    if ended.state == TaskState.SUCCESS:
        return
    if ended.state != TaskState.FAILURE:
        started = ended.state == TaskState.STARTED
        why = (
            "The runner has not finished the preflight (it may load the dataset for the first time)"
            if started
            else "No runner was free for the preflight"
        )
        msg = f"{why} within {answer_s:g} s. {REMEDY}"
        raise Unavailable(msg)
    if ended.reason in NOT_ITS_FAULT:
        why = ended.message.rstrip(".") or ended.reason
        msg = f"The runner could not do the preflight: {why}. {REMEDY}"
        raise Unavailable(msg)
    line = ended.found.get("user_line")
    where = f" ({line['file']}, line {line['line']})" if line else ""
    sentence = f"On at most {ROWS} rows the submission failed{where}: {ended.message}"
    if ended.reason in (Reason.SOFT_TIMEOUT, Reason.HARD_TIMEOUT):
        sentence += " If it needs longer even on so few rows, submit without preflight."
    raise PreflightFailed(
        sentence, {"reason": ended.reason, "detail": ended.message, **ended.found}
    )


def _forget(session: Session, *, task_id: str) -> None:
    session.execute(delete(Task).where(Task.id == task_id))


def forget_preflights(session: Session) -> None:
    """Remove the trials that nobody waits for any more."""
    session.execute(
        delete(Task).where(Task.kind == TaskKind.PREFLIGHT, Task.created < now() - FORGOTTEN_S)
    )


def claim_preflight(session: Session, *, claim: Claim, settings: Settings) -> PreflightJob:
    """Give a trial to a runner, as `claim_fold` does a fold. Raises Fenced."""
    task = claim_task(session, claim=claim, settings=settings, preflight=True)
    return PreflightJob(
        task_id=task.id,
        attempt=claim.attempt,
        dataset=dataset_message(task.raw_data, settings),
        **task.arguments,
    )


def commit_preflight(session: Session, *, outcome: PreflightOutcome) -> None:
    """Write down how a trial ended, for the request that waits for it. Raises Fenced."""
    task = own_task(session, outcome.task_id, outcome.attempt)
    if task is None or task.kind != TaskKind.PREFLIGHT:
        raise Fenced(FENCED)
    task.ended_at, task.lease_until = now(), None
    task.reason, task.message = outcome.reason, _text(outcome.detail)
    task.state = TaskState.SUCCESS if outcome.reason is None else TaskState.FAILURE
    line = outcome.user_line
    # In place of the job, which is of no use any more.
    task.arguments = {
        "traceback": _text(outcome.traceback),
        "user_line": None if line is None else {**line.model_dump(), "text": _text(line.text)},
        "log": _text(outcome.log),
    }


def _text(text: str) -> str:
    """Return what a submission may have written, in characters that every database keeps."""
    return text.replace("\0", "\ufffd")
