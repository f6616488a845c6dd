"""Tasks from end to end in real sandboxes: what a submission gets, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_app.zygote.client import Zygote
from datarun_ext.protocol import FoldOutcome, Limits, Phase, Reason, SandboxLevel

from .data import CLASSIFIER, SPECIFIC, file_of, flowers, fold_job, pack_indices
from .forked import Forked
from .master_server import serving
from .test_tasks import Bench, split_job


@pytest.fixture(scope="module", params=list(SandboxLevel))
def zygote(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Zygote]:
    folder = tmp_path_factory.mktemp("zygote")
    with Zygote.start(cache_dir=folder, level=request.param) as zygote:
        yield zygote


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path) -> Iterator[Bench]:
    with serving() as master:
        bench = Bench(master, tmp_path)
        bench.execute(zygote.run)
        yield bench


def run(bench: Bench, text: str, limits: Limits | None = None) -> FoldOutcome:
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": text}, limits=limits)
    bench.fold()
    return bench.master.outcomes[-1]


def test_the_sandbox_changes_no_bit(bench: Bench, zygote: Zygote) -> None:
    assert run(bench, CLASSIFIER).reason is None
    assert run(bench, CLASSIFIER + "\n").reason is None
    bench.execute(Forked().run)
    assert run(bench, CLASSIFIER).reason is None
    assert len(set(bench.master.predictions)) == 1
    assert all(bench.master.outcomes[0].measures[phase].wall_s > 0 for phase in Phase)


def test_a_wrong_length_is_told_in_the_words_of_datarun_0_4(bench: Bench) -> None:
    outcome = run(bench, CLASSIFIER.replace("predict_proba(X)\n", "predict_proba(X)[:3]\n"))
    assert outcome.reason is Reason.BAD_OUTPUT, outcome
    assert outcome.phase is Phase.VALIDATION
    assert outcome.detail == "Wrong full train prediction size: \n3 instead of 40 "
    assert outcome.traceback == ""


def test_the_user_s_own_line_comes_back(bench: Bench) -> None:
    outcome = run(bench, CLASSIFIER.replace("self.model = ", "print('seen'); 1 / 0; self.model = "))
    assert outcome.reason is Reason.USER_ERROR, outcome
    assert outcome.phase is Phase.TRAIN
    assert outcome.user_line is not None
    assert outcome.user_line.file == "classifier.py"
    assert "1 / 0" in outcome.user_line.text
    assert "ZeroDivisionError" in outcome.traceback
    assert outcome.log == "seen\n"


def test_a_missing_file_is_no_missing_package(bench: Bench) -> None:
    bench.master.jobs[7] = fold_job(bench.folder, {"other.py": "x = 1\n"})
    bench.fold()
    outcome = bench.master.outcomes[-1]
    assert outcome.reason is Reason.USER_ERROR, outcome
    assert outcome.detail.startswith("The file classifier.py is missing")
    missing = run(bench, "import no_such_package\n" + CLASSIFIER)
    assert missing.reason is Reason.MISSING_PACKAGE, missing


def test_a_fold_may_write_to_its_data_and_changes_nobody_else_s(bench: Bench) -> None:
    clean = run(bench, CLASSIFIER)
    spoiling = """
import gc
import pandas as pd

class Classifier:
    def fit(self, X, y):
        for thing in gc.get_objects():
            if isinstance(thing, pd.DataFrame):
                for block in thing._mgr.blocks:
                    values = block.values
                    if values.dtype.kind in "if":
                        values[:] = 0

    def predict_proba(self, X):
        assert not X.any()
        return X[:, :2] + 0.5
"""
    assert run(bench, spoiling).reason is None, bench.master.outcomes[-1]
    again = run(bench, CLASSIFIER)
    assert clean.reason is again.reason is None
    assert bench.master.predictions[0] == bench.master.predictions[2]


@pytest.mark.parametrize("zygote", [SandboxLevel.FULL], indirect=True)
def test_no_file_of_a_fold_holds_the_test_labels(bench: Bench) -> None:
    searching = """
import os

class Classifier:
    def fit(self, X, y):
        found = []
        for top in ("/job", "/tmp", os.getcwd()):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        if b"secret-" + b"label" in file.read():
                            found.append(path)
        raise RuntimeError(f"found {found}")
"""
    bench.master.jobs[7] = fold_job(bench.folder, {"classifier.py": searching})
    table = flowers().drop(columns="colour")[40:]
    table["kind"] = "secret-label"
    table.to_csv(bench.folder / "test.csv", index=False)
    job = bench.master.jobs[7]
    files = (job.dataset.files[0], file_of(bench.folder / "test.csv"))
    dataset = job.dataset.model_copy(update={"files": files})
    bench.master.jobs[7] = job.model_copy(update={"dataset": dataset})
    bench.fold()
    assert bench.master.outcomes[-1].detail.startswith("RuntimeError: found []")


def test_the_master_s_cancel_ends_a_fold(bench: Bench) -> None:
    bench.shared.registered(11, 0.1, 20.0)
    bench.master.end = True
    text = CLASSIFIER.replace("self.model = ", "import time; time.sleep(100); self.model = ")
    assert run(bench, text).reason is Reason.CANCELLED


def test_progress_shows_phases_and_text_while_a_fold_runs(bench: Bench) -> None:
    text = CLASSIFIER.replace(
        "return self.model", "print('predicting'); import time; time.sleep(0.6); return self.model"
    )
    assert run(bench, text).reason is None, bench.master.outcomes
    seen = [message.done for message in bench.master.progress]
    assert (Phase.TRAIN,) in seen
    assert (Phase.TRAIN, Phase.VALIDATION) in seen
    assert "predicting\n" in "".join(message.log for message in bench.master.progress)


def test_a_standard_dataset_from_split_to_fold(bench: Bench) -> None:
    table = flowers().drop(columns="colour").to_csv(index=False)
    split = split_job(bench.folder, {"flowers.csv": table})
    bench.master.jobs["t-1"] = split
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is None, outcome
    for file in outcome.files:
        bench.master.blobs[file.sha256] = bench.master.uploads[file.name]
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    dataset = split.dataset.model_copy(update={"files": (*split.dataset.files, *outcome.files)})
    changed = {"dataset": dataset, "n_train": outcome.n_train, "n_test": outcome.n_test}
    bench.master.jobs[7] = job.model_copy(update=changed)
    bench.fold()
    assert bench.master.outcomes[0].reason is None, bench.master.outcomes
    assert bench.master.outcomes[0].test_shape == (15, 3)


def test_a_custom_dataset_from_split_to_fold(bench: Bench) -> None:
    files = {"specific.py": SPECIFIC, "all.csv": flowers().to_csv(index=False)}
    split = split_job(bench.folder, files, held_out=None)
    bench.master.jobs["t-1"] = split
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is None, outcome
    for file in outcome.files:
        bench.master.blobs[file.sha256] = bench.master.uploads[file.name]
    job = fold_job(bench.folder, {"classifier.py": CLASSIFIER})
    dataset = split.dataset.model_copy(update={"files": (*split.dataset.files, *outcome.files)})
    changed = {
        "dataset": dataset,
        "n_train": 30,
        "n_test": 30,
        "train_is": pack_indices(range(20)),
    }
    bench.master.jobs[7] = job.model_copy(update=changed)
    bench.fold()
    assert bench.master.outcomes[0].reason is None, bench.master.outcomes
    assert bench.master.outcomes[0].test_shape == (30, 3)


def test_a_split_s_error_names_the_organiser_s_line(bench: Bench) -> None:
    files = {"specific.py": SPECIFIC.replace("table.iloc[::2]", "(1 / 0)"), "all.csv": "kind\nx\n"}
    bench.master.jobs["t-1"] = split_job(bench.folder, files, held_out=None)
    bench.split()
    (outcome,) = bench.master.splits
    assert outcome.reason is Reason.DATA_ERROR
    assert "ZeroDivisionError" in outcome.log
    assert "specific.py" in outcome.log
