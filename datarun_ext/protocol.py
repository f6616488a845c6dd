"""What the master and a runner must agree on, and nothing else.

A *job* is what a runner receives when it claims a fold; an *outcome* is what it sends back.
Both sides import this module, so it depends on pydantic and the standard library only. A change
that an older peer would misread raises `PROTOCOL`; a runner with another number is refused at
registration.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL = 1

QUEUE_HIGH = "H"
QUEUE_LOW = "L"
QUEUE_SPLIT = "celery"
QUEUE_PREFLIGHT = QUEUE_HIGH
QUEUES = (QUEUE_HIGH, QUEUE_LOW, QUEUE_SPLIT)

TASK_FOLD = "datarun.fold"
TASK_SPLIT = "datarun.split"
TASK_PREFLIGHT = "datarun.preflight"

HEADER_PROTOCOL = "X-Datarun-Protocol"
"""Request header by which a runner states its `PROTOCOL`."""

LOG_KEPT = 64 * 1024
"""Bytes of a log kept from its beginning, and again from its end."""


class Phase(StrEnum):
    """The parts of a fold that are timed and measured apart."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Reason(StrEnum):
    """Why a fold ended in ERROR."""

    USER_ERROR = "USER_ERROR"
    BAD_OUTPUT = "BAD_OUTPUT"
    SOFT_TIMEOUT = "SOFT_TIMEOUT"
    HARD_TIMEOUT = "HARD_TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    LIMIT_PROCESSES = "LIMIT_PROCESSES"
    LIMIT_DISK = "LIMIT_DISK"
    CRASHED = "CRASHED"
    NO_RESULT = "NO_RESULT"
    DATA_ERROR = "DATA_ERROR"
    MISSING_PACKAGE = "MISSING_PACKAGE"
    CANCELLED = "CANCELLED"
    RUNNER_LOST = "RUNNER_LOST"
    PLATFORM = "PLATFORM"
    """A fault of the runner itself: never final, the fold is sent again (at most three times)."""
    RUNNER_STOPPED = "RUNNER_STOPPED"
    """The runner was told to end: nobody's fault, the fold is sent again."""


class SandboxLevel(StrEnum):
    """How well a runner isolates a fold, strongest first."""

    FULL = "full"
    LANDLOCK = "landlock"
    LIMITS = "limits"


class Message(BaseModel):
    """Base of all messages: unknown fields are an error, so that drift is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Limits(Message):
    """What a fold may use. Wall times in seconds, sizes in MB (10**6 bytes).

    `soft_s` applies to the whole fold: the submission's main thread gets an exception. At `hard_s`
    everything that the fold started is killed.
    """

    soft_s: Annotated[float, Field(gt=0)] = 300.0
    hard_s: Annotated[float, Field(gt=0)] = 360.0
    memory_mb: Annotated[int, Field(ge=64)] = 4096
    processes: Annotated[int, Field(ge=1)] = 256
    disk_mb: Annotated[int, Field(ge=1)] = 1024


class File(Message):
    """A file by name and content."""

    name: str
    sha256: str
    size: int
    url: str | None = None
    """An fsspec URL where the runner may read it directly; else `GET runner/blob/<sha256>/`."""


class Dataset(Message):
    """A dataset as a runner needs it: its raw files, and after the split the split files too."""

    id: int
    name: str
    kind: Literal["standard", "custom"]
    target_column: str
    workflow_elements: tuple[str, ...]
    files: tuple[File, ...]


class FoldJob(Message):
    """One fold to train and test."""

    fold_id: int
    attempt: int
    submission_id: int
    dataset: Dataset
    files: tuple[File, ...]
    train_is: str
    """base64(zlib(int64 little-endian bytes)), as it came over the wire; already validated."""
    n_train: int
    """Rows of the whole training set: the length that `full_train_predictions` must have."""
    n_test: int
    limits: Limits


class SplitJob(Message):
    """One dataset to split into train and test."""

    task_id: str
    attempt: int
    dataset: Dataset
    held_out_test: float | int | None = None
    """Fraction (0, 1) or number of rows; None for a custom dataset."""
    random_state: int = 42
    limits: Limits


class PreflightJob(Message):
    """A submission to try out on a few rows before anything of it is stored."""

    task_id: str
    attempt: int
    dataset: Dataset
    files: dict[str, str]
    """Name -> base64 of the content: the master keeps no file of it that could be fetched."""
    train_is: str
    n_train: int
    """Rows of the training set to predict: its first ones."""
    n_test: int
    limits: Limits


class Measure(Message):
    """What one phase used, measured from outside the submission."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    """User and system time, children included."""
    memory_kb: float = 0.0
    """Peak of the phase above what the process inherited."""


class UserLine(Message):
    """The innermost line of the submission's own files in a traceback."""

    file: str
    line: int
    text: str = ""


class FoldOutcome(Message):
    """How a fold ended.

    On the wire: the length of this JSON as 4 big-endian bytes, the JSON, then the predictions of
    the whole training set and of the test set as C-order little-endian float64 (`pack_outcome`).
    """

    fold_id: int
    attempt: int
    reason: Reason | None = None
    """None: the fold is TESTED."""
    phase: Phase | None = None
    """The phase in which it failed."""
    detail: str = ""
    """One sentence on the cause; "" when it succeeded."""
    traceback: str = ""
    """The submission's own frames first."""
    user_line: UserLine | None = None
    log: str = ""
    """stdout and stderr: first and last `LOG_KEPT` bytes, control characters removed."""
    measures: dict[Phase, Measure] = {}
    full_train_shape: tuple[int, ...] | None = None
    full_train_dtype: str | None = None
    """dtype that the submission returned; the bytes sent are always float64."""
    test_shape: tuple[int, ...] | None = None
    test_dtype: str | None = None


class PreflightOutcome(Message):
    """How a trial ended; fields as in `FoldOutcome`, without predictions."""

    task_id: str
    attempt: int
    reason: Reason | None = None
    """None: the submission trains and predicts."""
    detail: str = ""
    traceback: str = ""
    user_line: UserLine | None = None
    log: str = ""


class FoldProgress(Message):
    """Sent while a fold runs: which phases are done, what was printed. Renews the lease."""

    fold_id: int
    attempt: int
    done: tuple[Phase, ...] = ()
    measures: dict[Phase, Measure] = {}
    log: str = ""
    """Text printed since the last progress message."""


class SplitProgress(Message):
    """Renews the lease of a running split or trial."""

    task_id: str
    attempt: int


class Labels(Message):
    """Labels of a split dataset, for scores. They stay on the master."""

    kind: Literal["classes", "numbers", "none"] = "none"
    classes: tuple[str, ...] = ()
    """Sorted labels; column k of a predicted probability matrix belongs to class k."""
    train: str = ""
    """base64(zlib(bytes)): int64 codes into `classes`, or float64 values, one per row."""
    test: str = ""


class SplitOutcome(Message):
    """How a split ended; the files it made were uploaded before."""

    task_id: str
    attempt: int
    reason: Reason | None = None
    detail: str = ""
    log: str = ""
    files: tuple[File, ...] = ()
    n_train: int = 0
    n_test: int = 0
    labels: Labels = Labels()
    columns: tuple[str, ...] = ()


class Registration(Message):
    """A runner introduces itself."""

    protocol: int
    name: str
    """host:pid of the runner; a runner that registers again under its name replaces itself."""
    host: str
    pid: int
    slots: int
    queues: tuple[str, ...]
    sandbox: SandboxLevel
    versions: dict[str, str] = {}


class Registered(Message):
    """The master's answer to a registration."""

    runner_id: int
    heartbeat_s: float
    lease_s: float


class Claim(Message):
    """A runner takes the work that a queue message announced."""

    runner_id: int
    id: int | str
    """Fold id, or task id of a split or a trial."""
    attempt: int
    key: Annotated[str, Field(max_length=64)] = ""
    """Names this claim: sent again, because the answer was lost, it gets the same answer."""


class Beat(Message):
    """A runner's own sign of life; each fold's lease is renewed by its `FoldProgress`."""

    runner_id: int
    busy: int = 0
    alarm: int = 0
    """The last alarm that the runner has heard."""
    wait_s: float = Field(0.0, ge=0, le=60)
    """How long the master may keep the answer back for an alarm."""


class BeatAnswer(Message):
    """The newest alarm. A higher one than before: something was cancelled, replaced or deleted."""

    alarm: int


class ProgressAnswer(Message):
    """Whether the runner must end the fold or task: cancelled, replaced, or no longer its own."""

    end: bool


_WHOSE = re.compile(
    rb'(?:.{4})?\{"(fold_id|task_id)":"?([^",]{1,64})"?,"attempt":(\d{1,18})[,}]', re.DOTALL
)


def whose_result(head: bytes) -> FoldProgress | SplitProgress | None:
    """Return a sign of life of the work whose result begins so; None if it does not say.

    It reads no more than the first bytes, as these messages have always written them.
    """
    found = _WHOSE.match(head)
    if found is None:
        return None
    kind, work_id, attempt = found.groups()
    if kind == b"fold_id":
        known = work_id.isdigit()
        return FoldProgress(fold_id=int(work_id), attempt=int(attempt)) if known else None
    return SplitProgress(task_id=work_id.decode(errors="replace"), attempt=int(attempt))


def pack_outcome(outcome: FoldOutcome, full_train: bytes = b"", test: bytes = b"") -> bytes:
    """Join an outcome and its predictions into one body."""
    head = outcome.model_dump_json().encode()
    return b"".join((len(head).to_bytes(4, "big"), head, full_train, test))


def unpack_outcome(body: bytes) -> tuple[FoldOutcome, bytes, bytes]:
    """Split what `pack_outcome` joined.

    Raises
    ------
    ValueError
        If the body is cut, or its predictions have not the size that their shapes say.
    """
    end = 4 + int.from_bytes(body[:4], "big")
    if len(body) < 4 or len(body) < end:
        msg = f"result of {len(body)} bytes is cut off"
        raise ValueError(msg)
    outcome = FoldOutcome.model_validate_json(body[4:end])
    sizes = [
        8 * math.prod(shape) if shape is not None else 0
        for shape in (outcome.full_train_shape, outcome.test_shape)
    ]
    if len(body) != end + sum(sizes):
        msg = f"result has {len(body) - end} bytes of predictions, its shapes say {sum(sizes)}"
        raise ValueError(msg)
    return outcome, body[end : end + sizes[0]], body[end + sizes[0] :]
