"""Datasets, submissions and folds as a person holds them, against a real server."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

import datarun_ext as dr
from datarun_ext.client import NotConnected, PreflightFailed, WaitTimeout
from datarun_ext.notebook import Dataset, Session, Submission
from datarun_ext.notebook.progress import Progress
from datarun_ext.notebook.sources import CannotSubmit, as_files
from tests.live.samples import BROKEN, SLOW, TREE


@pytest.fixture(scope="module")
def tree(iris: Dataset) -> Submission:
    """A submission that has been tested."""
    return iris.submit(TREE, name="tree <b>", cv=3).wait(120)


def test_import_is_light() -> None:
    code = (
        "import sys, datarun_ext\n"
        "heavy = {'pandas', 'numpy', 'sklearn', 'ipywidgets', 'tornado', 'sqlalchemy', 'IPython'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_notebook_imports_no_server_code() -> None:
    code = (
        "import sys, datarun_ext.notebook, datarun_ext.widget, datarun_ext.magics\n"
        "server = ('services', 'handlers', 'models', 'config', 'app')\n"
        "print([m for m in sys.modules if m.startswith(tuple(f'datarun_ext.{s}' for s in server))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_name_is_there() -> None:
    for name in dr.__all__:
        assert getattr(dr, name) is not None
    assert "connect" in dir(dr)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dr.nothing


def test_upload_guesses_what_it_can(session: Session, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "flowers of mine.csv"
    frame.to_csv(path, index=False)
    made = session.upload(path, target="species")
    assert (made.name, made.workflow) == ("flowers of mine", ("classifier",))
    assert "not split yet" in repr(made)
    made.delete()
    numbers = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50) ** 2})
    made = session.upload(numbers, name="squares", target="b")
    assert made.workflow == ("regressor",)
    made.delete()


@pytest.mark.usefixtures("iris")
def test_upload_says_what_is_missing(session: Session, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="target is missing.*'species'"):
        session.upload(frame, name="x")
    with pytest.raises(ValueError, match="no column 'spieces'.*'species'"):
        session.upload(frame, name="x", target="spieces")
    with pytest.raises(ValueError, match="name is missing"):
        session.upload(frame, target="species")
    with pytest.raises(ValueError, match=r"'iris' already exists: dr.dataset\('iris'\) returns it"):
        session.upload(frame, name="iris", target="species")
    with pytest.raises(ValueError, match="workflow is missing"):
        session.upload({"specific.py": b"", "data.bin": b""}, name="x")


def test_the_parts_of_a_dataset(iris: Dataset, frame: pd.DataFrame) -> None:
    train, test = iris.train(), iris.test()
    assert (len(train), len(test)) == (120, 30)
    assert list(train.columns) == list(frame.columns)
    assert len(iris.preview(7)) == 7


def test_listings_are_tables(session: Session, iris: Dataset, tree: Submission) -> None:
    table = session.datasets().frame()
    assert table.loc[iris.id, "name"] == "iris"
    assert "<table" in session.datasets()._repr_html_()
    mine = iris.submissions().frame()
    assert mine.loc[tree.id, "tested"] == "3/3"
    html = iris.submissions()._repr_html_()
    assert "tree &lt;b&gt;" in html
    assert "<b>" not in html
    assert session.runners()["slots"].sum() == 2


def test_scores_and_predictions(tree: Submission) -> None:
    scores = tree.scores()
    assert list(scores["state"]) == ["TESTED"] * 3
    assert (scores["test_accuracy"] > 0.7).all()
    fold = tree.folds[0]
    predictions = tree.predictions(fold)
    assert predictions.full_train is not None
    assert predictions.test is not None
    assert (predictions.full_train.shape, predictions.test.shape) == ((120, 3), (30, 3))
    rows = tree.indices(fold)
    assert len(rows.train) + len(rows.test) == 120


def test_an_estimator_of_the_notebook_gives_what_it_gives_here(iris: Dataset) -> None:
    model = LogisticRegression(max_iter=200)
    cv = StratifiedKFold(2)
    submission = iris.submit(model, cv=cv).wait(120)
    train = iris.train()
    X, y = train.drop(columns="species"), train["species"]
    for fold, (train_is, test_is) in zip(submission.folds, cv.split(X, y), strict=True):
        np.testing.assert_array_equal(submission.indices(fold).test, test_is)
        model.fit(X.to_numpy()[train_is], y.to_numpy()[train_is])
        found = submission.predictions(fold).full_train
        np.testing.assert_array_equal(found, model.predict_proba(X.to_numpy()))


def test_iterating_yields_folds_as_they_end(iris: Dataset) -> None:
    submission = iris.submit(TREE, cv=4)
    seen = [fold.id for fold in submission]
    assert sorted(seen) == [fold.id for fold in submission.folds]
    assert [fold.id for fold in submission] == sorted(seen)


def test_the_same_in_asyncio(iris: Dataset) -> None:
    async def work() -> tuple[int, str]:
        submission = iris.submit(TREE, cv=2)
        seen = [fold.state async for fold in submission]
        return len(seen), (await submission).folds[0].state

    assert asyncio.run(work()) == (2, "TESTED")


def test_cancel_rerun_and_log(session: Session, iris: Dataset) -> None:
    submission = iris.submit(SLOW.format(seconds=60), cv=2)
    with pytest.raises(WaitTimeout):
        submission.wait(0.2, progress=False)
    assert submission.cancel() == 2
    submission.wait(60)
    assert {fold.reason for fold in submission.folds} == {"CANCELLED"}
    assert submission.rerun() == 2
    assert not submission.refresh().data.counts.get("ERROR")
    submission.cancel()
    submission.delete()
    with pytest.raises(LookupError, match="no submission called 'nobody'"):
        session.submission("nobody")


def test_a_trial_finds_a_mistake_before_anything_is_stored(iris: Dataset) -> None:
    before = [one.id for one in iris.submissions()]
    with pytest.raises(PreflightFailed, match="classifier.py, line 4") as caught:
        iris.submit(BROKEN, cv=2, preflight=True)
    assert "undefined_thing" in caught.value.text
    assert [one.id for one in iris.submissions()] == before


def test_reattach_by_id_and_by_name(session: Session, tree: Submission) -> None:
    assert session.submission(tree.id).name == tree.name
    assert session.submission(tree.name).id == tree.id
    assert session.fold(tree.folds[0].id).state == "TESTED"


def test_a_failed_fold_can_be_debugged_here(iris: Dataset) -> None:
    submission = iris.submit({"classifier.py": BROKEN}, cv=2).wait(120)
    fold = submission.folds[0]
    assert "undefined_thing" in submission.log()
    assert fold.user_line is not None
    with pytest.raises(AttributeError, match="undefined_thing") as caught:
        fold.debug()
    last = caught.tb.tb_next
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    assert Path(last.tb_frame.f_code.co_filename).name == fold.user_line.file
    assert last.tb_lineno == fold.user_line.line
    assert "datarun_submission" not in sys.modules


def test_a_bundle_reproduces_the_error(iris: Dataset, tmp_path: Path) -> None:
    fold = iris.submit({"classifier.py": BROKEN}, cv=2).wait(120).folds[1]
    assert fold.bundle(tmp_path / "fold.zip") == tmp_path / "fold.zip"
    shutil.unpack_archive(tmp_path / "fold.zip", tmp_path / "fold")
    script = tmp_path / "fold" / "reproduce.py"
    found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert found.returncode == 1
    assert "AttributeError: 'Classifier' object has no attribute 'undefined_thing'" in found.stderr


def test_leaderboard_and_plots(iris: Dataset, tree: Submission) -> None:
    board = iris.leaderboard()
    means = board["validation_accuracy"].dropna()
    assert list(means) == sorted(means, reverse=True)
    assert tree.id in board.index
    with pytest.raises(ValueError, match="no submission has a score 'r2'"):
        iris.leaderboard(by="r2")
    for chart in (iris.plot(), tree.plot(), tree.timeline()):
        bundle = chart._repr_mimebundle_()
        spec = bundle["application/vnd.vegalite.v5+json"]
        assert json.loads(chart.to_json()) == spec
        assert spec["data"]["values"]
        assert "text/html" not in bundle
        assert "<b>" not in chart.to_html()
        assert "<table" in chart.to_html()
    with pytest.raises(ValueError, match="no fold has a score"):
        tree.plot("r2")


def test_progress_of_a_terminal_and_of_a_file(tree: Submission) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, start in ((Terminal(), "\r"), (io.StringIO(), "tree")):
        with Progress("tree", stream=stream) as progress:
            for fold in tree.folds:
                progress.take(fold.data)
        text = stream.getvalue()
        assert text.startswith(start)
        assert text.rstrip().endswith("] 3/3  3 tested")
        assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "elements", "message"),
    [
        (42, ["classifier"], "a int cannot be submitted: give an estimator"),
        (LinearSVC(), ["classifier"], "LinearSVC has no predict_proba"),
        (LogisticRegression(), ["feature_extractor", "classifier"], "wants several files"),
        ("class Foo:\n    pass\n", ["classifier"], "does not define Classifier.*it defines Foo"),
        ({"classifier.py": 3}, ["classifier"], "a int cannot be submitted"),
        ({"model.py": LogisticRegression()}, ["classifier"], "no model.py can be made"),
    ],
)
def test_what_cannot_be_submitted(code: Any, elements: list[str], message: str) -> None:
    with pytest.raises(CannotSubmit, match=message):
        as_files(code, elements)


def test_one_source_for_two_files() -> None:
    text = "class FeatureExtractor:\n    pass\n\n\nClassifier = FeatureExtractor\n"
    files = as_files(text, ["feature_extractor", "classifier"])
    assert files == {"feature_extractor.py": text.encode(), "classifier.py": text.encode()}
    with pytest.raises(SyntaxError):
        as_files("class Classifier:\n  def\n", ["classifier"])


def test_no_server_is_said() -> None:
    with pytest.raises(NotConnected, match="Check that the server runs"):
        dr.connect("http://127.0.0.1:9/", token="x")
