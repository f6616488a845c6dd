"""What the machinery costs per fold, at each level, beside a new interpreter.

``python benchmarks/fold_overhead.py [runs]`` prints medians in milliseconds:

first
    The first fold on a zygote that has just started.
added
    Wall time of a run above the submission's own 50 ms of work, one after the other. The spare of
    the next run is forked meanwhile.
burst
    The same for submissions that do nothing: every fork is waited for.
processor
    Processor time per fold of everything beside the submission: zygote, spawner, init, client.
new interpreter
    What each fold would cost without a zygote: start Python, import pandas and scikit-learn.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery_app.execution import Order
from celery_app.measure import cpu_clock
from celery_app.zygote import processes
from celery_app.zygote.client import Zygote
from datarun_ext.protocol import Limits, SandboxLevel

WORK_MS = 50
SUBMISSION = """
import time
def idle(context): pass
def work(context):
    end = time.perf_counter() + context.arguments["work_s"]
    while time.perf_counter() < end: pass
"""


def _order(folder: Path, function: str) -> Order:
    return Order(
        key=function,
        program="probe:probe",
        arguments={
            "code": "/job/sub",
            "module": "m",
            "function": function,
            "work_s": WORK_MS / 1000,
        },
        readonly={"/job/sub": str(folder / "sub")},
        code="/job/sub",
        limits=Limits(soft_s=30, hard_s=40),
    )


def _milliseconds(zygote: Zygote, what: Order) -> float:
    began = time.perf_counter()
    verdict = zygote.run(what, lambda _sign: True)
    taken = (time.perf_counter() - began) * 1000
    if verdict.reason is not None:
        sys.exit(f"a fold failed: {verdict}")
    return taken


def _machinery_s(zygote: Zygote) -> float:
    assert zygote.pid is not None
    total = time.process_time()
    for pid in processes.family([zygote.pid]):
        try:
            total += cpu_clock(pid)
        except OSError:
            continue
    return total


def _measure(level: SandboxLevel, folder: Path, runs: int) -> None:
    with Zygote.start(cache_dir=folder, level=level) as zygote:
        first = _milliseconds(zygote, _order(folder, "work")) - WORK_MS
        work = _order(folder, "work")
        before = _machinery_s(zygote)
        added = [_milliseconds(zygote, work) - WORK_MS for _ in range(runs)]
        cost = (_machinery_s(zygote) - before) * 1000 / runs
        idle = _order(folder, "idle")
        burst = [_milliseconds(zygote, idle) for _ in range(runs)]
    print(
        f"{level:9} first {first:6.1f}  added {statistics.median(added):6.1f} "
        f"(best {min(added):.1f})  burst {statistics.median(burst):6.1f} (best {min(burst):.1f})  "
        f"processor {cost:6.1f}",
        flush=True,
    )


def _new_interpreter() -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        code = "import pandas, sklearn.ensemble, sklearn.pipeline"
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append((time.perf_counter() - began) * 1000)
    print(f"new interpreter {statistics.median(times):.0f} (best {min(times):.0f})")


def _main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    folder = Path(tempfile.mkdtemp(prefix="datarun-bench-"))
    folder.chmod(0o755)
    (folder / "sub").mkdir()
    (folder / "sub" / "m.py").write_text(SUBMISSION)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; milliseconds, median of {runs}")
    try:
        for level in SandboxLevel:
            _measure(level, folder, runs)
        _new_interpreter()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    _main()
