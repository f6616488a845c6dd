"""Transactions, away from the event loop.

Every piece of work is a plain function of a session that runs in a thread: `read` for looking,
`write` for changing. There is one writer at a time. SQLite knows no other way, so its writes queue
in one thread and begin with the write lock (a transaction that reads first and then wants to write
can only fail). On PostgreSQL they begin with an advisory lock: events must become visible in the
order of their numbers, and a lock that is taken later would deadlock with those of the rows. Events
that a transaction recorded are handed to `on_commit` after it is committed, in the loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, DataError, OperationalError
from sqlalchemy.orm import Session

from datarun_ext.errors import BadRequest, NoSpace, Unavailable
from datarun_ext.services.events import Happening, take_happenings

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_MS = 10_000
READERS = 4
_WRITE_LOCK = 0x64617461


_clock = {"ahead": 0.0}
"""Seconds by which the database's clock is ahead of this host's."""


def now() -> float:
    """Return the time that all stored times are in: seconds since 1970 by the database's clock.

    Masters of several hosts judge each other's leases, so they must agree on it.
    """
    return time.time() + _clock["ahead"]


class Database:
    """The master's way to its database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.on_commit: Callable[[Sequence[Happening]], None] | None = None
        self._engine = _make_engine(url)
        self._writing = self._engine.execution_options(datarun_write=True)
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else READERS, "datarun-write")
        self._readers = ThreadPoolExecutor(READERS, "datarun-read")

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(session, ...)` in a transaction that changes nothing."""

        def run() -> T:
            with _spoken(), Session(self._engine, expire_on_commit=False) as session:
                return work(session, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(session, ...)` and commit; an exception rolls everything back.

        Raises
        ------
        Unavailable
            If the database cannot be reached or stays locked.
        NoSpace
            If its disk is full.
        """

        def run() -> tuple[T, list[Happening]]:
            with _spoken(), Session(self._writing, expire_on_commit=False) as session:
                if not self.is_sqlite:
                    session.execute(text(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"))
                result = work(session, *args, **kwargs)
                session.commit()
                return result, take_happenings(session)

        loop = asyncio.get_running_loop()
        result, happenings = await loop.run_in_executor(self._writers, run)
        if happenings and self.on_commit is not None:
            self.on_commit(happenings)
        return result

    async def set_clock(self) -> None:
        """Measure how far this host's clock is from the database's. SQLite has no other clock."""
        if not self.is_sqlite:
            before = time.time()
            query = text("SELECT extract(epoch FROM clock_timestamp())")
            there = await self.read(lambda session: float(session.execute(query).scalar_one()))
            _clock["ahead"] = there - (before + time.time()) / 2

    def upgrade(self) -> None:
        """Bring the tables up to date with this version of datarun."""
        if self.is_sqlite:
            path = make_url(self.url).database
            if path and path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._writing.begin() as connection:
            command.upgrade(self.alembic_config(connection), "head")

    def revisions(self) -> tuple[str | None, str | None]:
        """Return the revision that the database has, and the one that this version needs."""
        with self._engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return current, ScriptDirectory.from_config(self.alembic_config()).get_current_head()

    def alembic_config(self, connection: Connection | None = None) -> AlembicConfig:
        """Return Alembic's configuration for the migrations in the package."""
        config = AlembicConfig()
        config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
        config.attributes["connection"] = connection
        return config

    def close(self) -> None:
        """Wait for running work and close the connections."""
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._engine.dispose()


def _make_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=2 * READERS, pool_pre_ping=True)
    engine = create_engine(
        url, pool_size=READERS + 1, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes too late and is never immediate; `begin` below sends it.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-16000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("datarun_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


class _spoken:
    """Turn the database's own faults into errors that a person understands."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (DataError, OverflowError)):
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            msg = f"The database cannot hold a value of this request: {reason}."
            raise BadRequest(msg) from error
        if not isinstance(error, (OperationalError, DatabaseError)):
            return
        reason = str(error.orig)
        if "disk is full" in reason or "No space left" in reason:
            msg = "The database's disk is full. Free some space, then try again."
            raise NoSpace(msg) from error
        if isinstance(error, OperationalError) and (
            error.connection_invalidated or _is_passing(reason)
        ):
            msg = f"The database does not answer ({reason.splitlines()[0]}). Try again in a while."
            raise Unavailable(msg) from error


def _is_passing(reason: str) -> bool:
    return any(
        word in reason
        for word in ("locked", "connection", "terminating", "starting up", "unable to open", "I/O")
    )


def check_journal(url: str) -> str | None:
    """Say what is wrong with SQLite's place on disk, if anything is.

    The write-ahead log needs shared memory, which network file systems do not have.
    """
    path = make_url(url).database
    if not path:
        return None
    folder = Path(path).parent
    engine = _make_engine(url)
    try:
        with engine.connect() as connection:
            mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    finally:
        engine.dispose()
    if mode != "wal" or not os.access(folder, os.W_OK):
        return f"{folder} does not support SQLite's write-ahead log: use a local disk."
    return None
