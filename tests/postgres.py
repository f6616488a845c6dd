"""A real PostgreSQL of one's own: started in a temporary folder, reached over its unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def binaries() -> Path:
    """Return the folder with initdb and postgres.

    Raises
    ------
    RuntimeError
        With what to install.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    msg = "These tests need PostgreSQL: apt-get install -y postgresql."
    raise RuntimeError(msg)


class Postgres:
    """A server, in which tests make databases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_database(self) -> str:
        """Create an empty database; return its SQLAlchemy URL."""
        name = f"datarun_{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self.folder} user=datarun dbname=postgres") as connection:
            connection.autocommit = True
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://datarun@/{name}?host={self.folder}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server while the context is open."""
    programs = binaries()
    # Not below pytest's folder: its path is too long for a socket, and closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="datarun-pg-"))
    user: int | None = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("nobody").pw_uid
        os.chown(folder, user, -1)
    data = folder / "data"
    initdb = ("-D", data, "-U", "datarun", "-A", "trust", "-E", "UTF8", "--no-sync")
    subprocess.run(
        [programs / "initdb", *initdb, "--locale", "C.UTF-8"],
        user=user,
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = {"listen_addresses": "", "unix_socket_directories": folder, "max_connections": 60}
    # Nothing of it has to outlive the test.
    options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *arguments], user=user, stderr=log, cwd=folder
        )
    try:
        _wait(server, folder)
        yield Postgres(folder)
    finally:
        server.send_signal(signal.SIGQUIT)  # without waiting for clients: nothing is kept
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        try:
            psycopg.connect(f"host={folder} user=datarun dbname=postgres").close()
        except psycopg.OperationalError:
            try:
                server.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    raise RuntimeError((folder / "log").read_text(errors="replace"))
