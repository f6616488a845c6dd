"""Response bodies: what each object looks like to a client.

The default views have exactly the fields of datarun 0.4, to which folds add the shape and dtype of
their predictions; `full` and `summary` have more.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from datarun_ext.models import RawData, StoredFile, SubmissionFold, Task, TaskState, Upload
from datarun_ext.services.folds import Place
from datarun_ext.services.runners import Health, RunnerView
from datarun_ext.services.submissions import SubmissionView

Json = dict[str, Any]

SHAPES = (
    "full_train_predictions_shape",
    "full_train_predictions_dtype",
    "test_predictions_shape",
    "test_predictions_dtype",
)
FOLD = (
    "databoard_sf_id",
    "priority",
    "train_is",
    "test_is",
    "task_id",
    "full_train_predictions",
    "test_predictions",
    "state",
    "log_messages",
    "train_time",
    "validation_time",
    "test_time",
    "train_cpu_time",
    "train_memory",
    "test_cpu_time",
    "test_memory",
    "new",
)
PREDICTIONS = (
    "test_predictions",
    "full_train_predictions",
    "state",
    "log_messages",
    "train_time",
    "validation_time",
    "test_time",
    "train_cpu_time",
    "test_cpu_time",
    "train_memory",
    "test_memory",
)
LARGE = ("train_is", "test_is", "full_train_predictions", "test_predictions", "log_messages")
MORE = (
    "owner",
    "stage",
    "reason",
    "detail",
    "limits",
    "scores",
    "validation_cpu_time",
    "validation_memory",
    "created",
    "dispatched_at",
    "started_at",
    "ended_at",
    "lease_until",
)


class View(StrEnum):
    """How much of each object a client wants."""

    WIRE = "wire"
    FULL = "full"
    SUMMARY = "summary"


def _pick(thing: object, names: tuple[str, ...]) -> Json:
    return {name: getattr(thing, name) for name in names}


def raw_data(dataset: RawData) -> Json:
    """The five fields of datarun 0.4."""
    return _pick(dataset, ("id", "name", "files_path", "workflow_elements", "target_column"))


def raw_data_full(dataset: RawData, counts: Mapping[str, int]) -> Json:
    """Everything that is known of a dataset but its labels."""
    names = (
        "owner",
        "split_state",
        "split_error",
        "n_train",
        "n_test",
        "columns",
        "classes",
        "limits",
    )
    return {
        **raw_data(dataset),
        "kind": "custom" if dataset.is_custom else "standard",
        **_pick(dataset, names),
        "created": dataset.created,
        "files": [stored_file(file) for file in dataset.files],
        "counts": dict(counts),
    }


def stored_file(file: StoredFile) -> Json:
    """A file by name and content."""
    return _pick(file, ("name", "size", "sha256", "made_by_split"))


def fold(item: SubmissionFold, view: View, place: Place | None = None) -> Json:
    """A fold: 18 fields and 4 on the form of its predictions; more in the other views."""
    wire: tuple[str, ...] = FOLD + SHAPES
    if view == View.SUMMARY:
        wire = tuple(name for name in wire if name not in LARGE)
    data = {**_pick(item, wire), "databoard_s": item.databoard_s_id}
    if view == View.WIRE:
        return data
    return {
        **data,
        "raw_data": item.raw_data_id,
        **_pick(item, MORE),
        "attempt": item.tries,
        "runner": item.runner_name,
        "user_line": item.user_line or None,
        "position": place.position if place else None,
        "eta_s": place.eta_s if place else None,
    }


def fold_light(item: SubmissionFold) -> Json:
    """The four fields of `submissionfold-light`."""
    return {
        "databoard_sf_id": item.databoard_sf_id,
        "databoard_s": item.databoard_s_id,
        "state": item.state,
        "new": item.new,
    }


def predictions(item: SubmissionFold) -> Json:
    """The thirteen fields of `testpredictions`, and the form of the predictions."""
    return {
        "databoard_sf_id": item.databoard_sf_id,
        "databoard_s": item.databoard_s_id,
        **_pick(item, PREDICTIONS + SHAPES),
    }


def fold_log(item: SubmissionFold, since: int) -> Json:
    """What a fold printed, from a place on, and how it failed."""
    return {
        "databoard_sf_id": item.databoard_sf_id,
        "state": item.state,
        "reason": item.reason,
        "detail": item.detail,
        "log": item.output[since:],
        "next": len(item.output),
        "log_messages": item.log_messages,
        "traceback": item.traceback,
        "user_line": item.user_line or None,
    }


def submission(view: SubmissionView) -> Json:
    """A submission and what its folds add up to."""
    item = view.submission
    return {
        "databoard_s_id": item.databoard_s_id,
        "name": item.name,
        "raw_data": item.raw_data_id,
        "files": [stored_file(file) for file in item.files],
        **_pick(item, ("files_path", "hash_files", "owner", "cv", "created")),
        "n_folds": view.n_folds,
        "counts": view.counts,
        "reasons": view.reasons,
        "scores": {
            name: {"mean": score.mean, "std": score.std} for name, score in view.scores.items()
        },
    }


def task(item: Task | SubmissionFold) -> Json:
    """A task by its task id: a split, or a fold."""
    if isinstance(item, Task):
        hidden = item.state == TaskState.DISPATCHED
        return {
            "task_id": item.id,
            "kind": item.kind,
            "state": TaskState.PENDING if hidden else item.state,
            "message": item.message,
            "reason": item.reason,
            "raw_data": item.raw_data_id,
            "databoard_sf_id": None,
            "created": item.created,
            "ended_at": item.ended_at,
        }
    state = {"TODO": "PENDING", "TESTED": "SUCCESS", "ERROR": "FAILURE"}
    running = item.stage == "RUNNING"
    return {
        "task_id": item.task_id,
        "kind": "fold",
        "state": "STARTED" if running else state.get(item.state, "STARTED"),
        "message": item.detail,
        "reason": item.reason,
        "raw_data": item.raw_data_id,
        "databoard_sf_id": item.databoard_sf_id,
        "created": item.created,
        "ended_at": item.ended_at,
    }


def upload(item: Upload, received: int) -> Json:
    """An upload and where to go on."""
    return {
        "id": item.id,
        "name": item.name,
        "size": item.size,
        "offset": item.size if item.complete else received,
        "complete": item.complete,
        "sha256": item.sha256,
    }


def runner(view: RunnerView) -> Json:
    """A runner and how busy it is."""
    item = view.runner
    return {
        **_pick(item, ("id", "name", "host", "slots", "sandbox", "versions", "last_beat")),
        "queues": item.queues.split(","),
        "busy": view.busy,
        "alive": view.alive,
        "started": item.started,
    }


def health(item: Health, *, logs: bool) -> Json:
    """Whether folds can run; with what the broken parts wrote, for those who may see it."""
    return {
        "status": item.status,
        "problems": [
            {
                "part": problem.part,
                "message": f"{problem.message} {problem.log}".rstrip() if logs else problem.message,
                "remedy": problem.remedy,
            }
            for problem in item.problems
        ],
        **_pick(item, ("broker", "runners", "slots", "busy", "queued")),
    }
