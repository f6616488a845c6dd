"""What a server tells a client: datasets, submissions, folds, tasks, runners, as frozen objects.

The names of the attributes are those that a person uses (`Fold.id`, `Fold.submission`); the wire's
own (`databoard_sf_id`, `databoard_s`) are aliases that only the server's JSON has. Fields that a
newer server adds are ignored.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """How far a fold is."""

    TODO = "TODO"
    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    TESTED = "TESTED"
    ERROR = "ERROR"

    @property
    def final(self) -> bool:
        """Whether a fold in this state has ended."""
        return self in (State.TESTED, State.ERROR)


class Stage(StrEnum):
    """Where a fold is; finer than `State`, whose TODO hides four different waits."""

    WAITING = "WAITING"
    QUEUED = "QUEUED"
    DISPATCHED = "DISPATCHED"
    RUNNING = "RUNNING"
    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    TESTED = "TESTED"
    ERROR = "ERROR"


class Standing(StrEnum):
    """Where a submission stands, taking its folds together."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """Which queue a fold goes to."""

    HIGH = "H"
    LOW = "L"


class Answer(BaseModel):
    """Base of what comes from the server."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class FileInfo(Answer):
    """A file that the server keeps."""

    name: str
    size: int = 0
    sha256: str = ""
    made_by_split: bool = False


class Dataset(Answer):
    """A dataset."""

    id: int
    name: str
    workflow_elements: str = ""
    target_column: str = ""
    files_path: str = ""
    kind: Literal["standard", "custom"] = "standard"
    owner: str = ""
    split_state: Literal["NONE", "RUNNING", "DONE", "ERROR"] = "NONE"
    split_error: str = ""
    n_train: int = 0
    n_test: int = 0
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    limits: dict[str, Any] = {}
    created: float = 0.0
    files: tuple[FileInfo, ...] = ()
    counts: dict[str, int] = {}
    """Folds by state."""


class Column(Answer):
    """A column of a dataset's preview."""

    name: str
    dtype: str = ""


class Target(Answer):
    """How often each label occurs in a dataset."""

    name: str
    counts: dict[str, int] = {}


class Preview(Answer):
    """The first rows of a dataset."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    n_rows: int = 0
    target: Target | None = None


class Score(Answer):
    """A score over a submission's folds."""

    mean: float | None = None
    std: float | None = None


class Submission(Answer):
    """A machine-learning model, and how its folds are doing."""

    id: int = Field(alias="databoard_s_id")
    name: str = ""
    dataset: int | None = Field(default=None, alias="raw_data")
    files: tuple[FileInfo, ...] = ()
    hash_files: str | None = ""
    owner: str = ""
    cv: str = ""
    created: float = 0.0
    n_folds: int = 0
    counts: dict[str, int] = {}
    """Folds by state."""
    reasons: dict[str, int] = {}
    """Folds in ERROR by reason."""
    scores: dict[str, Score] = {}


class UserLine(Answer):
    """The line of a submission at which it failed."""

    file: str
    line: int
    text: str = ""


class Fold(Answer):
    """A submission on one fold of the cross-validation. Times in s, memory in kB."""

    id: int = Field(alias="databoard_sf_id")
    submission: int | None = Field(default=None, alias="databoard_s")
    dataset: int | None = Field(default=None, alias="raw_data")
    owner: str = ""
    priority: Priority = Priority.LOW
    task_id: str | None = None
    state: State = State.TODO
    stage: Stage | None = None
    attempt: int = 0
    new: bool = True
    reason: str | None = None
    """Why it ended in ERROR: a member of `datarun_ext.protocol.Reason`."""
    detail: str = ""
    runner: str | None = None
    limits: dict[str, Any] = {}
    scores: dict[str, float | None] = {}
    user_line: UserLine | None = None
    train_time: float = 0.0
    validation_time: float = 0.0
    test_time: float = 0.0
    train_cpu_time: float = 0.0
    validation_cpu_time: float = 0.0
    test_cpu_time: float = 0.0
    train_memory: float = 0.0
    validation_memory: float = 0.0
    test_memory: float = 0.0
    full_train_predictions_shape: tuple[int, ...] | None = None
    full_train_predictions_dtype: str | None = None
    test_predictions_shape: tuple[int, ...] | None = None
    test_predictions_dtype: str | None = None
    created: float = 0.0
    dispatched_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    lease_until: float | None = None
    position: int | None = None
    """Place in the queue; 1 is next."""
    eta_s: float | None = None
    """Seconds until it will probably have ended."""

    @property
    def memory(self) -> float:
        """The highest peak of all phases, in kB."""
        return max(self.train_memory, self.validation_memory, self.test_memory)


class FoldLog(Answer):
    """What a fold printed, and why it failed."""

    id: int = Field(alias="databoard_sf_id")
    state: State
    reason: str | None = None
    detail: str = ""
    log: str = ""
    """What was printed from the asked character on."""
    next: int = 0
    """Characters so far: where to go on reading."""
    log_messages: str = ""
    traceback: str = ""
    user_line: UserLine | None = None


class Task(Answer):
    """A split of a dataset, or a fold, known by its task id."""

    id: str = Field(alias="task_id")
    kind: Literal["split", "customsplit", "fold"] = "split"
    state: Literal["PENDING", "DISPATCHED", "STARTED", "SUCCESS", "FAILURE"] = "PENDING"
    message: str = ""
    reason: str | None = None
    dataset: int | None = Field(default=None, alias="raw_data")
    fold: int | None = Field(default=None, alias="databoard_sf_id")
    created: float = 0.0
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in ("SUCCESS", "FAILURE")


class Upload(Answer):
    """A big file on its way to the server."""

    id: str
    name: str
    size: int
    offset: int = 0
    complete: bool = False
    sha256: str | None = None


class Runner(Answer):
    """A machine, or a part of one, that trains folds."""

    id: int
    name: str
    host: str = ""
    slots: int = 0
    busy: int = 0
    queues: tuple[str, ...] = ()
    sandbox: str = ""
    versions: dict[str, str] = {}
    alive: bool = False
    last_beat: float = 0.0
    started: float = 0.0


class Problem(Answer):
    """Something that is wrong with the platform, and what to do about it."""

    part: str
    message: str
    remedy: str = ""


class Health(Answer):
    """Whether the platform can train folds now."""

    status: Literal["ok", "degraded", "starting"]
    problems: tuple[Problem, ...] = ()
    broker: bool = False
    runners: int = 0
    slots: int = 0
    busy: int = 0
    queued: int = 0
    protocol: int = 0
    version: str = ""
    limits: dict[str, dict[str, Any]] = {}


class User(Answer):
    """Who the server takes the client for."""

    name: str
    is_superuser: bool = False
