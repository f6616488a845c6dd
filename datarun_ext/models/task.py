"""Splits of datasets, and trials of submissions: work on the `celery` queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from datarun_ext.models.base import Base, BigId
from datarun_ext.models.raw_data import RawData


class TaskKind(StrEnum):
    """What is to be done with a dataset."""

    SPLIT = "split"
    CUSTOM_SPLIT = "customsplit"
    PREFLIGHT = "preflight"
    """A submission is tried on a few rows; the row is gone when somebody has the answer."""


class TaskState(StrEnum):
    """How far a task is; the names are Celery's, which the seeds' troubleshooting page uses."""

    PENDING = "PENDING"
    DISPATCHED = "DISPATCHED"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


class Task(Base):
    """One split or trial, asked for by a client and known by its task id."""

    __tablename__ = "task"
    __table_args__ = (Index(None, "state", "created"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[TaskKind] = mapped_column(String(20))
    raw_data_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("raw_data.id", ondelete="CASCADE"), index=True
    )
    owner: Mapped[str] = mapped_column(String(150))
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[TaskState] = mapped_column(String(10), default=TaskState.PENDING)
    attempt: Mapped[int] = mapped_column(BigInteger, default=0)
    runner_id: Mapped[int | None]
    claim_key: Mapped[str] = mapped_column(String(64), default="")
    """As of a fold."""
    lease_until: Mapped[float | None]
    dispatched_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    platform_faults: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(String(20))
    message: Mapped[str] = mapped_column(default="")
    created: Mapped[float]

    raw_data: Mapped[RawData] = relationship()
