"""A run is ordered, watched, limited and ended as the interface promises."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator

import pytest

from celery_app.execution import Order, Sign
from celery_app.zygote.client import Zygote
from datarun_ext.protocol import Limits, Phase, Reason, SandboxLevel

from .zygote_support import Bench, ignore, public_folder

LONG = {"soft_s": 60.0, "hard_s": 80.0, "memory_mb": 2000}


@pytest.fixture(scope="module", params=list(SandboxLevel))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, level=request.param) as zygote:
        yield Bench(zygote, folder)
    shutil.rmtree(folder)


def test_outputs_phases_and_log(bench: Bench) -> None:
    verdict = bench.run("""
def main(context):
    print("training")
    context.output("raw", memoryview(bytes(range(256))), kind="bytes", shape=[256])
    context.output("raw", b"last", kind="bytes")
    context.begin("validation")
    context.begin("test")
    print("testing", context.arguments["module"])
""")
    assert verdict.reason is None, verdict
    assert list(verdict.measures) == [Phase.TRAIN, Phase.VALIDATION, Phase.TEST]
    output = verdict.output("raw")
    assert output is not None
    assert (output.data, output.meta) == (b"last", {"kind": "bytes"})
    assert verdict.outputs[0].data == bytes(range(256))
    assert verdict.log == "training\ntesting m\n"


def test_state_does_not_pass_from_run_to_run(bench: Bench) -> None:
    code = """
import os, sys, numpy, random, builtins
def main(context):
    seen = [getattr(builtins, "left", None), os.environ.get("LEFT"), os.path.exists("left"),
            os.path.exists("/dev/shm/left")]
    builtins.left = os.environ["LEFT"] = "here"
    open("left", "w").close()
    try:
        open("/dev/shm/left", "w").close()
    except OSError: pass
    return [seen, numpy.random.rand(), random.random()]
"""
    first, second = (bench.run(code).output("value") for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.data != second.data, "random numbers are the same in every run"
    if bench.zygote.level is SandboxLevel.FULL:
        assert second.data.startswith(b"[[null, null, false, false]")
    else:
        assert second.data.startswith(b"[[null, null, false")
        with_shm = "/dev/shm/left"
        if os.path.exists(with_shm):
            os.unlink(with_shm)


def test_text_arrives_while_it_runs(bench: Bench) -> None:
    signs: list[tuple[float, Sign]] = []

    def on_sign(sign: Sign) -> bool:
        signs.append((time.monotonic(), sign))
        return True

    began = time.monotonic()
    verdict = bench.run(
        """
import time
def main(context):
    print("one", flush=True)
    time.sleep(1.2)
    context.begin("validation")
    print("two", flush=True)
    time.sleep(1.2)
""",
        on_sign,
        **LONG,
    )
    assert verdict.reason is None
    first = next(when for when, sign in signs if "one" in sign.log)
    assert first - began < 1.0
    assert any(sign.done == (Phase.TRAIN,) and Phase.TRAIN in sign.measures for _, sign in signs)
    assert "".join(sign.log for _, sign in signs) == "one\ntwo\n"
    assert len(signs) >= 3, "not even once a second"


def test_cancel_kills_within_a_second(bench: Bench) -> None:
    answers = iter([True])
    started = time.monotonic()
    verdict = bench.run(
        """
import os, time, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def main(context):
    if not os.fork():
        os.setsid()
    print("running", flush=True)
    time.sleep(60)
""",
        lambda _sign: next(answers, False),
        **LONG,
    )
    assert verdict.reason is Reason.CANCELLED
    assert time.monotonic() - started < 6
    assert bench.survivors(1.0) == []


def test_a_failing_sign_ends_the_run(bench: Bench) -> None:
    def on_sign(_sign: Sign) -> bool:
        msg = "the master is away"
        raise ConnectionError(msg)

    with pytest.raises(ConnectionError, match="the master is away"):
        bench.run("import time\ndef main(context): time.sleep(60)", on_sign, **LONG)
    assert bench.survivors(1.0) == []


def test_a_slow_sign_delays_no_limit(bench: Bench) -> None:
    def on_sign(_sign: Sign) -> bool:
        time.sleep(4)
        return True

    verdict = bench.run(
        """
import time
def main(context):
    print("x", flush=True)
    while True:
        try: time.sleep(1)
        except BaseException: pass
""",
        on_sign,
    )
    assert verdict.reason is Reason.HARD_TIMEOUT
    assert verdict.measures[Phase.TRAIN].wall_s < 2.6


def test_limits_are_met_on_time(bench: Bench) -> None:
    loop = "import time\ndef main(context):\n    while True:\n        sum(range(1000))\n"
    soft = bench.run(loop, soft_s=2.0, hard_s=3.0)
    assert soft.reason is Reason.SOFT_TIMEOUT
    assert soft.phase is Phase.TRAIN
    assert soft.user_line is not None
    assert (soft.user_line.file, soft.user_line.line) == ("m.py", 4)
    assert "Soft Time Limit Exceeded" in soft.traceback
    assert soft.measures[Phase.TRAIN].wall_s == pytest.approx(2.0, abs=1.0)

    hard = bench.run(
        """
def main(context):
    while True:
        try: sum(range(1000))
        except BaseException: pass
""",
        soft_s=2.0,
        hard_s=3.0,
    )
    assert hard.reason is Reason.HARD_TIMEOUT
    assert hard.measures[Phase.TRAIN].wall_s == pytest.approx(3.0, abs=1.0)
    assert hard.user_line is not None
    assert hard.user_line.line == 4


def test_memory_is_measured_by_phase(bench: Bench) -> None:
    verdict = bench.run(
        """
import numpy
def main(context):
    x = numpy.ones(300_000_000, dtype="u1"); del x
    context.begin("validation")
    context.begin("test")
    x = numpy.ones(100_000_000, dtype="u1"); del x
""",
        **LONG,
    )
    assert verdict.reason is None, verdict
    used = {phase: measure.memory_kb * 1024 / 1e6 for phase, measure in verdict.measures.items()}
    assert used[Phase.TRAIN] == pytest.approx(300, rel=0.05)
    assert used[Phase.TEST] == pytest.approx(100, rel=0.05)
    assert used[Phase.VALIDATION] < 20


def test_cpu_time_counts_children_and_threads(bench: Bench) -> None:
    verdict = bench.run(
        """
import os, time, signal
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
def main(context):
    pid = os.fork()
    if not pid:
        burn(0.6); os._exit(0)
    os.waitpid(pid, 0)
    context.begin("validation")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if not os.fork():
        burn(0.6); os._exit(0)
    time.sleep(0.1)
    try:
        while True:
            os.kill(-1 if False else os.getpid(), 0); os.wait()
    except ChildProcessError: pass
    context.begin("test")
    time.sleep(0.3)
""",
        **LONG,
    )
    assert verdict.reason is None, verdict
    assert verdict.measures[Phase.TRAIN].cpu_s == pytest.approx(0.6, abs=0.2)
    # Nobody waits for the second one: without a control group the last sample counts.
    assert verdict.measures[Phase.VALIDATION].cpu_s == pytest.approx(0.6, abs=0.3)
    assert verdict.measures[Phase.TEST].cpu_s < 0.2


PARALLEL = """
import numpy
from sklearn.datasets import make_classification
X, y = make_classification(400, 10, random_state=0)

def forest():
    from sklearn.ensemble import RandomForestClassifier
    return RandomForestClassifier(20, n_jobs=-1).fit(X, y).score(X, y) > 0.8

def boosting():
    from sklearn.ensemble import HistGradientBoostingClassifier
    return HistGradientBoostingClassifier(max_iter=5).fit(X, y).score(X, y) > 0.8

def kmeans():
    from sklearn.cluster import KMeans
    return KMeans(3, n_init=2).fit(X).inertia_ > 0

def blas():
    a = numpy.random.rand(600, 600)
    return bool(numpy.isfinite(a @ a).all())

def grid():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, n_jobs=2, cv=2)
    return search.fit(X, y).best_score_ > 0.5

def pool():
    import multiprocessing
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as workers:
        return workers.map(abs, [-1, -2]) == [1, 2]

def thread_pool():
    from multiprocessing.pool import ThreadPool
    with ThreadPool(2) as workers:
        return workers.map(abs, [-1, -2]) == [1, 2]

def executor():
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        return list(workers.map(abs, [-1, -2])) == [1, 2]

def counts():
    import os, joblib
    from threadpoolctl import threadpool_info
    most = max(pool["num_threads"] for pool in threadpool_info())
    return [os.cpu_count(), joblib.cpu_count(), most] == [2, 2, 2]

def main(context):
    return {f.__name__: bool(f()) for f in
            (forest, boosting, kmeans, blas, grid, pool, thread_pool, executor, counts)}
"""


def test_parallel_libraries_work(bench: Bench) -> None:
    verdict = bench.run(PARALLEL, threads=2, **LONG)
    assert verdict.reason is None, verdict
    output = verdict.output("value")
    assert output is not None
    assert b"false" not in output.data, output.data
    assert bench.survivors() == []


def test_runs_at_the_same_time_do_not_meet(bench: Bench) -> None:
    code = """
import os, time
def main(context):
    open("mine", "x").close()
    time.sleep(0.5)
    return [os.listdir("/fold") if os.path.exists("/fold") else [], NUMBER]
"""
    results: dict[int, bytes] = {}

    def one(number: int) -> None:
        verdict = bench.run(code.replace("NUMBER", str(number)), **LONG)
        output = verdict.output("value")
        assert output is not None, verdict
        results[number] = output.data

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number].split(b" ")[-1] for number in range(6)] == [
        f"{number}]".encode() for number in range(6)
    ]
    assert bench.survivors() == []


def test_a_missing_input_is_a_fault_of_the_platform(bench: Bench) -> None:
    order = Order(
        key="gone",
        program="probe:probe",
        arguments={"code": "/job/sub", "module": "m", "function": "main"},
        readonly={"/job/sub": "/nowhere/at/all"},
        code="/job/sub",
        limits=Limits(),
    )
    with pytest.raises(OSError, match="/nowhere/at/all"):
        bench.zygote.run(order, ignore)


def test_an_unknown_program_is_a_fault_of_the_platform(bench: Bench) -> None:
    order = Order(key="gone", program="nothing:at_all", arguments={})
    with pytest.raises(OSError, match="nothing"):
        bench.zygote.run(order, ignore)


def test_a_writable_folder_can_be_written(bench: Bench) -> None:
    made = bench.folder / f"made-{bench.zygote.level}"
    made.mkdir()
    order = bench.order("""
def main(context):
    with open(context.path("/job/made/sub.txt"), "w") as file: file.write("written")
""")
    order = Order(
        key="set-up",
        program=order.program,
        arguments=order.arguments,
        readonly=order.readonly,
        writable={"/job/made": str(made)},
        code=order.code,
    )
    verdict = bench.zygote.run(order, ignore)
    assert verdict.reason is None, verdict
    assert (made / "sub.txt").read_text() == "written"
    assert (made / "sub.txt").stat().st_uid == os.geteuid()
