"""Submissions: models as Python files."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from datarun_ext.models.base import Base, BigId
from datarun_ext.models.raw_data import RawData, StoredFile


class Submission(Base):
    """A machine-learning model to train and test on the folds of one dataset."""

    __tablename__ = "submission"
    __table_args__ = {"sqlite_autoincrement": True}

    databoard_s_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    files_path: Mapped[str] = mapped_column(String(500), default="")
    hash_files: Mapped[str] = mapped_column(String(40), default="")
    """base64(md5 of the contents of the files, one after the other)."""
    raw_data_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("raw_data.id", ondelete="CASCADE"), index=True
    )
    owner: Mapped[str] = mapped_column(String(150), index=True)
    cv: Mapped[str] = mapped_column(String(200), default="")
    """How the folds were made, in words; empty when the client chose the indices."""
    created: Mapped[float]

    raw_data: Mapped[RawData] = relationship()
    files: Mapped[list[StoredFile]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="StoredFile.id"
    )
