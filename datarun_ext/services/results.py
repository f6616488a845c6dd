"""What a runner hands in: how far a fold is, how a fold or a split ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from datarun_ext.codecs import pack, unpack_indices
from datarun_ext.errors import BadRequest, Fenced
from datarun_ext.models import (
    FINAL,
    RUNNING,
    RawData,
    Stage,
    StoredFile,
    SubmissionFold,
    TaskKind,
)
from datarun_ext.models.tables import FOLDS, RAW_DATA
from datarun_ext.protocol import (
    FoldOutcome,
    FoldProgress,
    Labels,
    Measure,
    Phase,
    Reason,
    SplitOutcome,
)
from datarun_ext.services.claims import FENCED, own_task
from datarun_ext.services.database import now
from datarun_ext.services.faults import platform_fault, task_fault
from datarun_ext.services.files import clean_name
from datarun_ext.services.scores import fold_scores
from datarun_ext.services.splits import end_split
from datarun_ext.services.transitions import fail, pass_through

NOT_FINAL = (Reason.PLATFORM, Reason.RUNNER_STOPPED)
OUTPUT_MAX = 256 * 1024
"""Characters of a running fold's output kept until the runner sends its first and last part."""
DTYPE_MAX = 40
MADE = "made"
"""Folder of what a split made under a name that the dataset has taken itself."""
PHASES = {Phase.TRAIN: Stage.TRAINED, Phase.VALIDATION: Stage.VALIDATED}
"""The stage that the end of a phase leads to; TESTED needs the predictions too."""


def fold_progress(session: Session, *, progress: FoldProgress, lease_s: float) -> str | None:
    """Renew a fold's lease; return its owner, None if it is not the runner's any more."""
    own = (
        SubmissionFold.databoard_sf_id == progress.fold_id,
        SubmissionFold.attempt == progress.attempt,
        SubmissionFold.stage.in_(RUNNING),
    )
    values: dict[str, Any] = {"lease_until": now() + lease_s}
    if progress.log:
        output = session.scalar(select(SubmissionFold.output).where(*own)) or ""
        if len(output) < OUTPUT_MAX:
            values["output"] = output + _text(progress.log)
    owner = session.execute(
        update(SubmissionFold)
        .where(*own)
        .values(**values)
        .returning(SubmissionFold.owner)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if owner is not None:
        _phases_done(session, progress.fold_id, progress.attempt, progress.done, progress.measures)
    return owner


def _phases_done(
    session: Session,
    fold_id: int,
    attempt: int,
    done: Sequence[Phase],
    measures: dict[Phase, Measure],
) -> None:
    reached = [phase for phase in PHASES if phase in done]
    if reached:
        pass_through(
            session,
            fold_id=fold_id,
            attempt=attempt,
            to=PHASES[reached[-1]],
            **_measured(measures, *reached),
        )


def _measured(measures: dict[Phase, Measure], *phases: Phase) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for phase in phases:
        if phase in measures:
            values[f"{phase}_time"] = measures[phase].wall_s
            values[f"{phase}_cpu_time"] = measures[phase].cpu_s
            values[f"{phase}_memory"] = measures[phase].memory_kb
    return values


Facts = tuple[int, int, Labels, str]
_FACTS = (
    select(
        FOLDS.c.attempt,
        FOLDS.c.stage,
        FOLDS.c.reason,
        FOLDS.c.test_is,
        RAW_DATA.c.n_train,
        RAW_DATA.c.n_test,
        RAW_DATA.c.labels,
    )
    .join_from(FOLDS, RAW_DATA, FOLDS.c.raw_data_id == RAW_DATA.c.id)
    .where(FOLDS.c.databoard_sf_id == bindparam("fold_id"))
)


def facts_of(session: Session, *, outcome: FoldOutcome) -> Facts | None:
    """Return what a result is judged by; None if this very result is committed already.

    Raises
    ------
    Fenced
        If the fold is not the runner's any more, or has ended without it.
    """
    fold_id, attempt = outcome.fold_id, outcome.attempt
    fold = session.connection().execute(_FACTS, {"fold_id": fold_id}).one_or_none()
    if fold is not None and fold.attempt == attempt and fold.stage in FINAL:
        committed = Reason.RUNNER_LOST if outcome.reason == Reason.PLATFORM else outcome.reason
        if fold.reason not in (committed, Reason.BAD_OUTPUT):
            raise Fenced(FENCED)
        return None
    if fold is None or fold.attempt != attempt or fold.stage not in RUNNING:
        raise Fenced(FENCED)
    return fold.n_train, fold.n_test, Labels.model_validate(fold.labels or {}), fold.test_is


def judge(
    outcome: FoldOutcome, full_train: bytes, test: bytes, *facts: Any
) -> tuple[FoldOutcome, dict[str, Any]]:
    """Check predictions and compute their scores. Any thread."""
    n_train, n_test, labels, test_is = facts
    if outcome.reason is not None:
        return outcome, {}
    arrays = {}
    for name, data, shape, rows, phase in (
        ("full train", full_train, outcome.full_train_shape, n_train, Phase.VALIDATION),
        ("test", test, outcome.test_shape, n_test, Phase.TEST),
    ):
        array = np.frombuffer(data, dtype="<f8").reshape(shape or (0,))
        wrong = ""
        if len(array) != rows:
            wrong = f"Wrong {name} prediction size: \n{len(array)} instead of {rows} "
        elif not np.isfinite(array).all():
            bad = int(np.size(array) - np.isfinite(array).sum())
            wrong = f"The {name} predictions have {bad} values that are not finite (NaN or inf)."
        if wrong:
            failed = {"reason": Reason.BAD_OUTPUT, "phase": phase, "detail": wrong}
            return outcome.model_copy(update=failed), {}
        arrays[name] = array
    indices = unpack_indices(test_is)
    if indices.size and indices.max() >= n_train:
        failed = {
            "reason": Reason.DATA_ERROR,
            "phase": Phase.VALIDATION,
            "detail": f"Index {indices.max()} of test_is is out of range: since the dataset was "
            f"split again its training set has {n_train} rows. Submit the fold with new indices.",
        }
        return outcome.model_copy(update=failed), {}
    return outcome, {
        "full_train_predictions": pack(full_train),
        "full_train_predictions_shape": list(outcome.full_train_shape or ()),
        "full_train_predictions_dtype": (outcome.full_train_dtype or "")[:DTYPE_MAX],
        "test_predictions": pack(test),
        "test_predictions_shape": list(outcome.test_shape or ()),
        "test_predictions_dtype": (outcome.test_dtype or "")[:DTYPE_MAX],
        "scores": fold_scores(
            labels, full_train=arrays["full train"], test=arrays["test"], test_is=indices
        ),
    }


def commit_fold(session: Session, *, outcome: FoldOutcome, values: dict[str, Any]) -> None:
    """Write down how a fold ended. Raises Fenced."""
    fold_id, attempt = outcome.fold_id, outcome.attempt
    if outcome.reason is None:
        committed = pass_through(
            session,
            fold_id=fold_id,
            attempt=attempt,
            to=Stage.TESTED,
            ended_at=now(),
            lease_until=None,
            output=_text(outcome.log),
            **_measured(outcome.measures, *Phase),
            **values,
        )
    elif outcome.reason in NOT_FINAL:
        committed = platform_fault(
            session, fold_id=fold_id, attempt=attempt, came_from=RUNNING, why=_why(outcome)
        )
    else:
        committed = fail(
            session,
            fold_id=fold_id,
            attempt=attempt,
            came_from=RUNNING,
            reason=outcome.reason,
            detail=_text(outcome.detail),
            log_messages=_text(log_messages(outcome)),
            output=_text(outcome.log),
            traceback=_text(outcome.traceback),
            user_line=outcome.user_line.model_dump() if outcome.user_line else {},
            **_measured(outcome.measures, *Phase),
        )
    if not committed:
        raise Fenced(FENCED)


def _why(outcome: FoldOutcome | SplitOutcome) -> str:
    """Return what went wrong on the platform; nothing, if the runner was told to end."""
    if outcome.reason == Reason.RUNNER_STOPPED:
        return ""
    return _text(outcome.detail) or "the runner gives no reason."


def _text(text: str) -> str:
    """Return what a submission may have written, in characters that every database keeps."""
    return text.replace("\0", "\ufffd")


def log_messages(outcome: FoldOutcome) -> str:
    """Return the log of a failure in the words of datarun 0.4."""
    # What the platform found has a sentence of its own; a traceback is the submission's.
    found_by_us = outcome.reason in (Reason.BAD_OUTPUT, Reason.DATA_ERROR)
    text = outcome.detail if found_by_us else outcome.traceback.rstrip() or outcome.detail
    if outcome.reason == Reason.SOFT_TIMEOUT and "Soft Time Limit Exceeded" not in text:
        text = f"Soft Time Limit Exceeded\n{text}"
    return f"{text}\n - ERROR({outcome.phase or Phase.TRAIN})"


def commit_split(session: Session, *, outcome: SplitOutcome) -> None:
    """Write down how a split ended, its files in their place. Raises Fenced."""
    task = own_task(session, outcome.task_id, outcome.attempt)
    if task is None or task.kind == TaskKind.PREFLIGHT:
        raise Fenced(FENCED)
    if outcome.reason in NOT_FINAL:
        task_fault(session, task=task, why=_why(outcome))
        return
    dataset = session.get_one(RawData, task.raw_data_id)
    folder = Path(dataset.files_path)
    sent = {file.name for file in dataset.files if not file.made_by_split}
    places: dict[Path, Path] = {}
    made = []
    for file in outcome.files:
        clean_name(file.name, field="name")
        # A dataset called "train" has a train.csv of its own, which the next split needs.
        place = folder / MADE / file.name if file.name in sent else folder / file.name
        places[made_path(folder, file.name, task.id, task.attempt)] = place
        made.append(
            StoredFile(
                name=file.name,
                sha256=file.sha256,
                size=file.size,
                path=str(place),
                made_by_split=True,
            )
        )
    if len({file.name for file in outcome.files}) < len(outcome.files):
        msg = "The split names one of its files twice."
        raise BadRequest(msg)
    missing = [part.name for part in places if not part.is_file()]
    if missing:
        msg = f"The split's files have not all arrived: {missing[0]} is missing."
        raise BadRequest(msg)
    outcome = outcome.model_copy(update={"detail": _text(outcome.detail)})
    in_force = end_split(session, task=task, outcome=outcome, paths=made)
    session.flush()
    for part, place in places.items():
        if not in_force:
            part.unlink(missing_ok=True)
            continue
        place.parent.mkdir(exist_ok=True, mode=0o700)
        part.replace(place)


def made_path(folder: Path, name: str, task_id: str, attempt: int) -> Path:
    """Return where a split's file waits until the split has ended well."""
    return folder / f".{name}.{task_id}.{attempt}.part"
