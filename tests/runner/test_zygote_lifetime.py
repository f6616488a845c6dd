"""Whoever is killed, nothing that hangs on it is left, and the runner works on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_app.execution import Verdict
from celery_app.zygote import processes
from celery_app.zygote.client import SandboxTooWeak, Zygote
from datarun_ext.protocol import SandboxLevel

from .storm_client import STORM
from .zygote_support import Bench, describe, public_folder, wait_until_gone

ROOT = Path(__file__).parents[2]
LONG = {"soft_s": 500.0, "hard_s": 600.0, "memory_mb": 2000}
FINE = "def main(context): return 1"


@pytest.fixture(params=list(SandboxLevel))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, level=request.param) as zygote:
        yield Bench(zygote, folder)
    shutil.rmtree(folder)


def start(
    role: str, target: str, folder: Path
) -> tuple[subprocess.Popen[bytes], dict[str, object]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runner.storm_client", role, target, str(folder)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def of_zygote(path: Path) -> list[int]:
    """Find processes by the folder in their command line, which forks inherit."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(path.parent) in command or b"98765.4" in command:
                found.append(int(name))
    return found


def none_left(path: Path, seconds: float = 5.0) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := of_zygote(path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [describe(pid) for pid in left]


def in_thread(bench: Bench, ends: list[Verdict | BaseException]) -> threading.Thread:
    running = threading.Event()

    def on_sign(sign: object) -> bool:
        if "storm" in getattr(sign, "log", ""):
            running.set()
        return True

    def run() -> None:
        try:
            ends.append(bench.run(STORM, on_sign, **LONG))
        except OSError as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert running.wait(60)
    return thread


def test_killed_client_takes_its_run_along(bench: Bench) -> None:
    process, _ = start("connect", str(bench.zygote.path), bench.folder / "of-client")
    process.kill()
    process.wait()
    assert bench.survivors(5.0) == []
    assert bench.run(FINE).reason is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_starter_takes_everything_along(bench: Bench, number: signal.Signals) -> None:
    process, told = start("start", str(bench.zygote.level), bench.folder / "of-starter")
    path = Path(str(told["path"]))
    assert len(of_zygote(path)) > 3
    process.send_signal(number)
    process.wait()
    assert none_left(path) == []
    assert not path.parent.exists()


def test_killed_zygote_is_replaced(bench: Bench) -> None:
    ends: list[Verdict | BaseException] = []
    thread = in_thread(bench, ends)
    assert bench.zygote.pid is not None
    before = processes.family([bench.zygote.pid])
    (zygote,) = processes.children(bench.zygote.pid)
    os.kill(zygote, signal.SIGKILL)
    thread.join(20)
    assert isinstance(ends[0], OSError), ends
    assert wait_until_gone([pid for pid in before if pid != bench.zygote.pid]) == []
    assert bench.run(FINE).reason is None
    assert bench.survivors() == []


def test_killed_warden_is_replaced(bench: Bench) -> None:
    ends: list[Verdict | BaseException] = []
    thread = in_thread(bench, ends)
    assert bench.zygote.pid is not None
    path = bench.zygote.path
    os.kill(bench.zygote.pid, signal.SIGKILL)
    thread.join(20)
    assert isinstance(ends[0], OSError), ends
    assert none_left(path) == []
    assert bench.run(FINE).reason is None


def test_close_ends_everything(bench: Bench) -> None:
    ends: list[Verdict | BaseException] = []
    thread = in_thread(bench, ends)
    path = bench.zygote.path
    bench.zygote.close()
    thread.join(20)
    assert none_left(path) == []
    assert not path.parent.exists()


def test_zygote_replaces_itself_without_losing_a_run() -> None:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, level=SandboxLevel.LIMITS, folds_per_zygote=4) as zygote:
        bench = Bench(zygote, folder)
        assert zygote.pid is not None
        first = processes.children(zygote.pid)
        ends: list[Verdict] = []
        slow = "import time\ndef main(context): time.sleep(15)"
        thread = threading.Thread(target=lambda: ends.append(bench.run(slow, **LONG)))
        thread.start()
        deadline = time.monotonic() + 60
        while processes.children(zygote.pid)[-1:] == first and time.monotonic() < deadline:
            assert bench.run(FINE).reason is None
            time.sleep(0.1)
        thread.join()
        assert ends[0].reason is None
        assert bench.survivors(10.0) == []
        assert processes.children(zygote.pid) != first
    shutil.rmtree(folder)


def test_only_its_own_user_may_use_it(bench: Bench) -> None:
    assert bench.zygote.path.parent.stat().st_mode & 0o777 == 0o700
    script = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "s.connect(sys.argv[1]); print(len(s.recv(1000)))\n"
    )
    bench.zygote.path.parent.chmod(0o755)
    bench.zygote.path.chmod(0o777)
    answer = subprocess.run(
        ["/usr/bin/python3", "-c", script, str(bench.zygote.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "0\n", answer


def test_too_weak_a_machine_is_refused() -> None:
    folder = public_folder()
    with pytest.raises(SandboxTooWeak, match="minimum level"):
        Zygote.start(
            cache_dir=folder, level=SandboxLevel.LIMITS, minimum_level=SandboxLevel.LANDLOCK
        )
    shutil.rmtree(folder)
