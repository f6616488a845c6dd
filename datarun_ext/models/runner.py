"""Runners, and the leases by which masters agree who does what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from datarun_ext.models.base import Base


class Runner(Base):
    """A Celery worker that has introduced itself."""

    __tablename__ = "runner"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    slots: Mapped[int]
    queues: Mapped[str] = mapped_column(String(50))
    sandbox: Mapped[str] = mapped_column(String(10))
    versions: Mapped[dict[str, Any]]
    started: Mapped[float]
    last_beat: Mapped[float]


class Lock(Base):
    """A duty that one master holds at a time, e.g. the reconciler."""

    __tablename__ = "lock"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    until: Mapped[float]
