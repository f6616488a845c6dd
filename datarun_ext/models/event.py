"""What has happened, in order: the source of the websocket and of every replay."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from datarun_ext.models.base import Base, BigId


class Event(Base):
    """One change, written in the transaction that made it."""

    __tablename__ = "event"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[float]
    kind: Mapped[str] = mapped_column(String(20))
    """fold, task, rawdata, submission or runner."""
    ref: Mapped[str] = mapped_column(String(40))
    """Id of what changed."""
    owner: Mapped[str] = mapped_column(String(150))
    data: Mapped[dict[str, Any]]
