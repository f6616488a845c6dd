"""A submission on one fold of the cross-validation: the unit of work, its stages and results."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from datarun_ext.models.base import Base, BigId
from datarun_ext.models.submission import Submission


class State(StrEnum):
    """What the wire calls the state of a fold."""

    TODO = "TODO"
    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    TESTED = "TESTED"
    ERROR = "ERROR"


class Stage(StrEnum):
    """Where a fold is; finer than `State` because TODO hides four different waits."""

    WAITING = "WAITING"
    """Its dataset is not split yet."""
    QUEUED = "QUEUED"
    """In the database's queue."""
    DISPATCHED = "DISPATCHED"
    """Announced by a message in the broker."""
    RUNNING = "RUNNING"
    """Claimed by a runner, training."""
    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    TESTED = "TESTED"
    ERROR = "ERROR"

    @property
    def state(self) -> State:
        """The wire's name of this stage."""
        return State(self.value) if self.value in State.__members__ else State.TODO


RUNNING = (Stage.RUNNING, Stage.TRAINED, Stage.VALIDATED)
"""Stages in which a runner holds the fold's lease."""
FINAL = (Stage.TESTED, Stage.ERROR)


class Priority(StrEnum):
    """Which queue a fold goes to."""

    HIGH = "H"
    LOW = "L"


class SubmissionFold(Base):
    """A submission and the train and test indices of one fold; a person reads "Fold"."""

    __tablename__ = "submission_fold"
    __table_args__ = (
        Index(None, "stage", "priority", "owner", "created"),
        Index(None, "stage", "lease_until"),
        Index(None, "task_id"),
        Index(None, "raw_data_id", "stage", "ended_at"),
        Index(None, "owner", "databoard_sf_id"),
        Index(None, "new", "stage", "raw_data_id"),
        {"sqlite_autoincrement": True},
    )

    databoard_sf_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    databoard_s_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("submission.databoard_s_id", ondelete="CASCADE"), index=True
    )
    raw_data_id: Mapped[int] = mapped_column(BigId, ForeignKey("raw_data.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(String(150))
    priority: Mapped[Priority] = mapped_column(String(1), default=Priority.LOW)
    stage: Mapped[Stage] = mapped_column(String(10), default=Stage.QUEUED)
    attempt: Mapped[int] = mapped_column(BigInteger)
    """Fencing token: rises with every dispatch; whoever holds an older one changes nothing.

    It begins with the time in milliseconds, so that a fold which takes the id of a deleted one
    never meets the attempts of its runners again.
    """
    tries: Mapped[int] = mapped_column(default=0)
    """How often it was sent to a runner since it was submitted or run again."""
    task_id: Mapped[str | None] = mapped_column(String(40))
    runner_id: Mapped[int | None]
    runner_name: Mapped[str] = mapped_column(String(200), default="")
    claim_key: Mapped[str] = mapped_column(String(64), default="")
    """Of the claim that was granted: a runner that lost the answer asks again with it."""
    lease_until: Mapped[float | None]
    dispatched_at: Mapped[float | None]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    platform_faults: Mapped[int] = mapped_column(default=0)
    new: Mapped[bool] = mapped_column(default=True)
    reason: Mapped[str | None] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(default="")
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    scores: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_line: Mapped[dict[str, Any]] = mapped_column(default=dict)
    train_time: Mapped[float] = mapped_column(default=0.0)
    validation_time: Mapped[float] = mapped_column(default=0.0)
    test_time: Mapped[float] = mapped_column(default=0.0)
    train_cpu_time: Mapped[float] = mapped_column(default=0.0)
    validation_cpu_time: Mapped[float] = mapped_column(default=0.0)
    test_cpu_time: Mapped[float] = mapped_column(default=0.0)
    train_memory: Mapped[float] = mapped_column(default=0.0)
    validation_memory: Mapped[float] = mapped_column(default=0.0)
    test_memory: Mapped[float] = mapped_column(default=0.0)
    """Peak of the phase in kB, as the seeds' documentation says."""
    created: Mapped[float]
    full_train_predictions_shape: Mapped[list[Any] | None]
    full_train_predictions_dtype: Mapped[str | None] = mapped_column(String(40))
    test_predictions_shape: Mapped[list[Any] | None]
    test_predictions_dtype: Mapped[str | None] = mapped_column(String(40))

    # The large texts stand last and are loaded on demand: queue and lists never read them.
    train_is: Mapped[str] = mapped_column(deferred=True, deferred_group="indices")
    test_is: Mapped[str] = mapped_column(deferred=True, deferred_group="indices")
    full_train_predictions: Mapped[str | None] = mapped_column(
        deferred=True, deferred_group="predictions"
    )
    test_predictions: Mapped[str | None] = mapped_column(
        deferred=True, deferred_group="predictions"
    )
    log_messages: Mapped[str] = mapped_column(default="", deferred=True, deferred_group="log")
    output: Mapped[str] = mapped_column(default="", deferred=True, deferred_group="log")
    """stdout and stderr; while the fold runs, what has been printed so far."""
    traceback: Mapped[str] = mapped_column(default="", deferred=True, deferred_group="log")

    submission: Mapped[Submission] = relationship()

    @property
    def state(self) -> State:
        """The wire's name of the stage."""
        return Stage(self.stage).state
