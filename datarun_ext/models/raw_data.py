"""Datasets and the files that the master keeps."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from datarun_ext.models.base import Base, BigId


class SplitState(StrEnum):
    """How far a dataset is on its way to train and test."""

    NONE = "NONE"
    RUNNING = "RUNNING"
    DONE = "DONE"
    ERROR = "ERROR"


class RawData(Base):
    """A dataset; a person reads "Dataset"."""

    __tablename__ = "raw_data"
    # An id is never given to a second dataset: runners and clients remember them.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    files_path: Mapped[str] = mapped_column(String(500), default="")
    workflow_elements: Mapped[str] = mapped_column(String(200))
    target_column: Mapped[str] = mapped_column(String(200))
    owner: Mapped[str] = mapped_column(String(150), index=True)
    is_custom: Mapped[bool] = mapped_column(default=False)
    split_state: Mapped[SplitState] = mapped_column(String(10), default=SplitState.NONE)
    split_error: Mapped[str] = mapped_column(default="")
    n_train: Mapped[int] = mapped_column(default=0)
    n_test: Mapped[int] = mapped_column(default=0)
    columns: Mapped[list[Any]] = mapped_column(default=list)
    classes: Mapped[list[Any]] = mapped_column(default=list)
    """Names of the classes of the target, sorted; none before the split or of numbers."""
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Limits of this dataset's folds, where they differ from the operator's default."""
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict, deferred=True)
    """`protocol.Labels`: for scores, never sent to a runner. Large: loaded on demand."""
    created: Mapped[float]

    files: Mapped[list[StoredFile]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="StoredFile.id"
    )


def _unique(owner: str, *columns: str) -> Index:
    """Say that an owner has no two files that are the same in these columns."""
    has_owner = text(f"{owner} IS NOT NULL")
    return Index(
        None, owner, *columns, unique=True, sqlite_where=has_owner, postgresql_where=has_owner
    )


class StoredFile(Base):
    """A file of a dataset or a submission, on the master's disk at its owner's `files_path`."""

    __tablename__ = "stored_file"
    # One of the two owners is NULL, and NULLs are all different: a constraint on both never holds.
    __table_args__ = (
        _unique("raw_data_id", "name", "made_by_split"),
        _unique("submission_id", "name"),
        Index(None, "sha256"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    raw_data_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("raw_data.id", ondelete="CASCADE")
    )
    submission_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("submission.databoard_s_id", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str] = mapped_column(String(1000))
    made_by_split: Mapped[bool] = mapped_column(default=False)
