from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import Celery

from celery_app import foldrun
from celery_app import slot as slot_module
from celery_app.config import RunnerConfig
from celery_app.execution import OnSign, Order, Output, Sign, Verdict
from celery_app.layout import FULL_TRAIN, TEST
from celery_app.master import MasterClient
from celery_app.progress import End, MustEnd, Progress
from celery_app.shared import Shared
from celery_app.slot import Slot
from celery_app.tasks import add_tasks
from datarun_ext.protocol import (
    TASK_FOLD,
    TASK_SPLIT,
    Dataset,
    FoldProgress,
    Limits,
    Measure,
    Phase,
    Reason,
    SplitJob,
    SplitProgress,
)

from .data import CLASSIFIER, SPECIFIC, file_of, flowers, fold_job, pack_indices, write_package
from .forked import Forked
from .master_server import TOKEN, Master, serving


class Bench:
    """A slot whose tasks run in this process, and its master."""

    def __init__(self, master: Master, folder: Path) -> None:
        self.master, self.folder = master, folder
        self.shared = Shared()
        self.shared.registered(11, 5.0, 20.0)
        config = RunnerConfig(
            broker_url="memory://",
            master_url=master.url,
            token=TOKEN,
            cache_dir=folder / "cache",
            slots=2,
        )
        self.slot = Slot.open(config, self.shared, Forked())
        self.app = Celery("test", broker="memory://", set_as_current=False)
        add_tasks(self.app, lambda: self.slot)

    def execute(self, executor: Callable[[Order, OnSign], Verdict]) -> None:
        class Own:
            def run(self, order: Order, on_sign: OnSign) -> Verdict:
                return executor(order, on_sign)

        self.slot = Slot.open(self.slot.config, self.shared, Own())

    def fold(self, attempt: int = 2) -> None:
        assert self.app.tasks[TASK_FOLD](7, attempt) is None

    def split(self) -> None:
        assert self.app.tasks[TASK_SPLIT]("t-1", 1) is None


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with serving() as master:
        yield Bench(master, tmp_path)


def test_a_fold_is_trained_tested_and_handed_in(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is None, outcome
    assert outcome.full_train_shape == (40, 3)
    assert outcome.test_shape == (20, 3)
    assert outcome.full_train_dtype == outcome.test_dtype == "float64"
    assert set(outcome.measures) == set(Phase)
    full_train, test = bench.master.predictions[0]
    assert np.allclose(np.frombuffer(full_train).reshape(40, 3).sum(axis=1), 1)
    assert len(test) == 20 * 3 * 8
    assert bench.master.requests == ["POST claim/fold/", "POST result/fold/"]


def test_files_come_over_http_when_they_are_not_here(bench: Bench) -> None:
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER}, local=False)
    for path in (bench.folder, bench.folder / "submission"):
        for file in (*job.files, *job.dataset.files):
            if (path / file.name).exists():
                bench.master.blobs[file.sha256] = (path / file.name).read_bytes()
    bench.master.jobs[7] = job
    for _ in range(2):
        bench.fold()
    assert [outcome.reason for outcome in bench.master.outcomes] == [None, None]
    assert sum(request.startswith("GET blob/") for request in bench.master.requests) == 3


def test_a_stale_message_does_nothing(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.fold(attempt=1)
    assert bench.master.requests == ["POST claim/fold/"]


def test_a_fenced_result_is_dropped(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.master.fenced = True
    bench.fold()
    assert bench.master.requests == ["POST claim/fold/", "POST result/fold/"]


def test_the_submission_s_error_is_handed_in(bench: Bench) -> None:
    text = CLASSIFIER.replace("self.model = ", "print('hello'); 1 / 0; self.model = ")
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": text})
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is Reason.USER_ERROR
    assert outcome.phase is Phase.TRAIN
    assert "ZeroDivisionError" in outcome.traceback
    assert outcome.log == "hello\n"


def test_a_broken_dataset_is_no_fault_of_the_submission(bench: Bench) -> None:
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    (bench.folder / "test.csv").write_text("length,kind\n1,2,3\n")
    broken = (job.dataset.files[0], file_of(bench.folder / "test.csv"))
    bench.master.jobs[7] = job.model_copy(
        update={"dataset": job.dataset.model_copy(update={"files": broken})}
    )
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is Reason.DATA_ERROR
    assert "The dataset flowers cannot be loaded: Row 2 of test.csv has 3" in outcome.detail
    assert not list((bench.folder / "cache" / "parts").iterdir())


def test_a_dataset_that_is_not_split_is_refused(bench: Bench) -> None:
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.master.jobs[7] = job.model_copy(
        update={"dataset": job.dataset.model_copy(update={"files": job.dataset.files[:1]})}
    )
    bench.fold()
    assert bench.master.outcomes[0].reason is Reason.DATA_ERROR
    assert "has no test.csv: split it" in bench.master.outcomes[0].detail


def test_a_file_that_cannot_be_had_is_the_platform_s_fault(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER}, local=False)
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is Reason.PLATFORM
    assert "HTTP 404" in outcome.detail


@pytest.mark.parametrize("error", [OSError("the zygote is gone"), RuntimeError("a bug of ours")])
def test_our_own_faults_are_told_apart(bench: Bench, error: Exception) -> None:
    def fail(order: Order, on_sign: OnSign) -> Verdict:
        raise error

    bench.execute(fail)
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.fold()
    assert bench.master.outcomes[0].reason is Reason.PLATFORM
    assert str(error) in bench.master.outcomes[0].detail


@pytest.mark.parametrize("error", [MemoryError, SystemExit, KeyboardInterrupt])
def test_a_task_never_raises(bench: Bench, error: type[BaseException]) -> None:
    def fail(order: Order, on_sign: OnSign) -> Verdict:
        raise error

    bench.execute(fail)
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.fold()


def test_a_refused_result_is_told_as_a_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    monkeypatch.setattr(slot_module, "RESULT_PATIENCE_S", 1.0)
    real = foldrun.judge

    def judge(*arguments: Any) -> Any:
        bench.master.trouble = [413]
        return real(*arguments)

    monkeypatch.setattr(foldrun, "judge", judge)
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is Reason.PLATFORM
    assert "HTTP 413" in outcome.detail


GOOD = {"shape": [40, 3], "dtype": "float64"}
LIES: dict[str, tuple[Any, bytes, str]] = {
    "no shape": ({}, b"\0" * 960, "shape is given as None"),
    "text shape": ({"shape": "40"}, b"\0" * 960, "shape is given as 40"),
    "float shape": ({"shape": [40.0, 3]}, b"\0" * 960, "shape is given as"),
    "bool shape": ({"shape": [True]}, b"\0" * 8, "shape is given as"),
    "negative": ({"shape": [40, -3]}, b"\0" * 960, "shape is given as"),
    "other rows": ({"shape": [39, 3]}, b"\0" * 936, "40 rows are expected"),
    "too many dimensions": ({"shape": [40] + [1] * 99}, b"\0" * 320, "shape is given as"),
    "short": (GOOD, b"\0" * 952, "952 bytes do not fit"),
    "huge": ({"shape": [40, 10**18]}, b"\0" * 960, "do not fit"),
    "nan": (GOOD, np.full(120, np.nan).tobytes(), "not finite"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_comes_out_of_the_sandbox_is_not_believed(bench: Bench, name: str) -> None:
    meta, data, detail = LIES[name]
    outputs = (
        Output(name=FULL_TRAIN, meta=meta, data=data),
        Output(name=TEST, meta={"shape": [20, 3], "dtype": "x" * 1000}, data=b"\0" * 480),
    )
    bench.execute(lambda order, on_sign: Verdict(reason=None, outputs=outputs))
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    # The dataset is prepared by the same executor, which makes nothing: that is enough here.
    bench.fold()
    (outcome,) = bench.master.outcomes
    assert outcome.reason is Reason.NO_RESULT
    assert detail in outcome.detail


def test_limits_are_within_the_runner_s_own(bench: Bench) -> None:
    orders: list[Order] = []

    def note(order: Order, on_sign: OnSign) -> Verdict:
        orders.append(order)
        return Verdict(reason=None)

    config = bench.slot.config
    bench.execute(note)
    capped = RunnerConfig(
        broker_url=config.broker_url,
        master_url=config.master_url,
        token=config.token,
        cache_dir=config.cache_dir,
        soft_s=5,
        hard_s=6,
    )
    bench.slot = Slot.open(capped, bench.shared, bench.slot.executor)
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER}, limits=Limits(soft_s=3, hard_s=9))
    bench.master.jobs[7] = job
    bench.fold()
    assert (orders[-1].limits.soft_s, orders[-1].limits.hard_s) == (3, 6)
    assert orders[0].limits.hard_s > 600


class Run:
    """A run whose signs and clock the test decides."""

    def __init__(self, master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        self.master = master
        self.shared = Shared()
        self.shared.registered(11, 5.0, 20.0)
        client = MasterClient(master.url, TOKEN)
        self.progress = Progress(client, self.shared, FoldProgress(fold_id=7, attempt=2))

    def sign(self, after: float, *done: Phase, log: str = "") -> bool:
        self.now += after
        measures = {phase: Measure(wall_s=1) for phase in done}
        return self.progress.on_sign(Sign(done=done, measures=measures, log=log))


@pytest.fixture
def run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(bench.master, monkeypatch)


def test_phases_travel_at_once_but_for_the_quickest(run: Run) -> None:
    assert run.sign(0.01, Phase.TRAIN)
    assert not run.master.progress
    assert run.sign(0.05, Phase.TRAIN)
    assert run.sign(0.06, Phase.TRAIN, Phase.VALIDATION)
    assert [message.done for message in run.master.progress] == [
        (Phase.TRAIN,),
        (Phase.TRAIN, Phase.VALIDATION),
    ]
    assert set(run.master.progress[1].measures) == {Phase.TRAIN, Phase.VALIDATION}


def test_text_is_gathered_and_sent_once(run: Run) -> None:
    for text in ("a", "b", "c", "d"):
        assert run.sign(0.1, log=text)
    assert run.sign(0.3)
    assert [message.log for message in run.master.progress] == ["abc", "d"]


def test_the_lease_is_renewed_without_news(run: Run) -> None:
    for _ in range(11):
        assert run.sign(1.0)
    assert [(message.log, message.done) for message in run.master.progress] == [("", ())] * 2


def test_the_master_ends_a_run(run: Run) -> None:
    run.master.end = True
    assert run.sign(1.0)
    assert not run.sign(5.0)
    assert run.progress.end is End.UNWANTED
    with pytest.raises(MustEnd):
        run.progress.tick()


def test_a_lease_that_cannot_be_renewed_ends_the_run(run: Run) -> None:
    run.master.trouble = [503] * 20
    for _ in range(4):
        assert run.sign(5.0, log="x")
    assert not run.sign(5.0)
    assert run.progress.end is End.LEASE_LOST


def test_a_short_absence_of_the_master_loses_no_text(run: Run) -> None:
    run.master.trouble = [503, 0]
    for text in ("a", "b", "c"):
        assert run.sign(1.0, log=text)
    assert [message.log for message in run.master.progress] == ["abc"]


def test_a_runner_that_ends_gives_its_runs_up_after_a_grace(run: Run) -> None:
    run.shared.stop(3.0)
    assert run.sign(2.0)
    assert not run.sign(2.0)
    assert run.progress.end is End.SHUTDOWN


def test_a_run_given_up_is_nobody_s_fault(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.fold()

    def stopped(order: Order, on_sign: OnSign) -> Verdict:
        bench.shared.stop(0)
        assert not on_sign(Sign(done=(), measures={}, log=""))
        return Verdict(reason=Reason.CANCELLED)

    bench.execute(stopped)
    bench.fold()
    assert bench.master.outcomes[-1].reason is Reason.RUNNER_STOPPED
    assert bench.master.outcomes[-1].detail == "runner shut down"
    before = len(bench.master.requests)
    bench.fold()
    assert len(bench.master.requests) == before


def test_a_cancelled_run_is_handed_in_as_such(bench: Bench) -> None:
    bench.shared.registered(11, 0.01, 20.0)
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    bench.master.end = True

    def cancelled(order: Order, on_sign: OnSign) -> Verdict:
        while on_sign(Sign(done=(), measures={}, log="")):
            pass
        return Verdict(reason=Reason.CANCELLED)

    bench.execute(cancelled)
    bench.fold()
    assert bench.master.outcomes[-1].reason is Reason.CANCELLED


def split_job(folder: Path, files: dict[str, str], *, held_out: float | None = 0.25) -> SplitJob:
    raw = Path(write_package(folder / "raw", files))
    return SplitJob(
        task_id="t-1",
        attempt=1,
        dataset=Dataset(
            id=3,
            name="flowers",
            kind="standard" if held_out else "custom",
            target_column="kind",
            workflow_elements=("classifier",),
            files=tuple(file_of(raw / name) for name in files),
        ),
        held_out_test=held_out,
        limits=Limits(),
    )


def test_a_standard_split_uploads_both_parts(bench: Bench) -> None:
    text = flowers().to_csv(index=False)
    bench.master.jobs["t-1"] = split_job(bench.folder, {"flowers.csv": text})
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is None, outcome
    assert (outcome.n_train, outcome.n_test) == (45, 15)
    assert outcome.columns == ("length", "petals", "width", "colour", "kind")
    assert [file.name for file in outcome.files] == ["test.csv", "train.csv"]
    assert bench.master.uploads["train.csv"].count(b"\n") == 46
    assert outcome.labels.classes == ("ant", "bee", "cat")
    codes = np.frombuffer(zlib.decompress(base64.b64decode(outcome.labels.test)), dtype="<i8")
    rows = bench.master.uploads["test.csv"].decode().splitlines()[1:]
    assert [outcome.labels.classes[code] for code in codes] == [r.split(",")[-1] for r in rows]
    assert not list((bench.folder / "cache" / "parts").iterdir())


def test_a_custom_split_uploads_what_is_new(bench: Bench) -> None:
    table = flowers().to_csv(index=False)
    files = {"specific.py": SPECIFIC, "all.csv": table}
    bench.master.jobs["t-1"] = split_job(bench.folder, files, held_out=None)
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is None, outcome
    assert set(bench.master.uploads) == {"a.csv", "b.csv"}
    assert (outcome.n_train, outcome.n_test) == (30, 30)
    assert (bench.folder / "raw" / "all.csv").read_text() == table


SPLIT_FAULTS = {
    "a link": ("os.symlink('/etc/passwd', raw_data_path + '/b2.csv')", "'b2.csv', which cannot be"),
    "a folder": ("os.mkdir(raw_data_path + '/more')", "'more', which is no file"),
    "a pipe": ("os.mkfifo(raw_data_path + '/pipe')", "'pipe', which is no file"),
    "an error": ("1 / 0", "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", SPLIT_FAULTS)
def test_a_split_that_is_wrong_uploads_nothing_of_ours(bench: Bench, name: str) -> None:
    line, detail = SPLIT_FAULTS[name]
    specific = SPECIFIC.replace("(raw_data_path):\n", f"(raw_data_path):\n    {line}\n", 1)
    files = {"specific.py": specific, "all.csv": flowers().to_csv(index=False)}
    bench.master.jobs["t-1"] = split_job(bench.folder, files, held_out=None)
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is Reason.DATA_ERROR
    assert detail in outcome.detail
    assert not bench.master.uploads


def test_a_custom_dataset_from_split_to_fold(bench: Bench) -> None:
    files = {"specific.py": SPECIFIC, "all.csv": flowers().to_csv(index=False)}
    split = split_job(bench.folder, files, held_out=None)
    bench.master.jobs["t-1"] = split
    bench.split()
    made = bench.master.splits[0].files
    for file in made:
        bench.master.blobs[file.sha256] = bench.master.uploads[file.name]
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    dataset = split.dataset.model_copy(update={"files": (*split.dataset.files, *made)})
    bench.master.jobs[7] = job.model_copy(
        update={
            "dataset": dataset,
            "n_train": 30,
            "n_test": 30,
            "train_is": pack_indices(range(20)),
        }
    )
    for _ in range(2):
        bench.fold()
    assert [outcome.reason for outcome in bench.master.outcomes] == [None, None]
    assert bench.master.outcomes[0].test_shape == (30, 3)
    assert bench.master.predictions[0] == bench.master.predictions[1]


def test_a_split_renews_its_lease(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MasterClient(bench.master.url, TOKEN)
    bench.shared.registered(11, 0.001, 20.0)
    progress = Progress(client, bench.shared, SplitProgress(task_id="t-1", attempt=1))
    bench.master.wait_for(
        lambda: progress.tick() or "POST progress/split/" in bench.master.requests
    )
