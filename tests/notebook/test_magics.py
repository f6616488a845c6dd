"""The magics in a real shell, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from datarun_ext.client import Predictions
from datarun_ext.notebook import Dataset, Session, Submission
from tests.live.samples import BROKEN, SLOW, TREE


@pytest.fixture
def shell(session: Session) -> Iterator[InteractiveShell]:
    """A shell of its own with the extension loaded."""
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shell.run_line_magic("load_ext", "datarun_ext")
    yield shell
    shell.run_line_magic("unload_ext", "datarun_ext")


def magic(shell: InteractiveShell, line: str, cell: str | None = None) -> Any:
    if cell is None:
        return shell.run_line_magic("datarun", line)
    return shell.run_cell_magic("datarun", line, cell)


def test_a_cell_becomes_a_submission(shell: InteractiveShell, iris: Dataset) -> None:
    made = magic(shell, "submit iris 'my tree' --cv 3 --wait -o kept --time 100", TREE)
    assert isinstance(made, Submission)
    assert shell.user_ns["kept"] is made
    assert made.name == "my tree"
    assert made.source("classifier.py") == TREE
    scores = magic(shell, "scores")
    assert list(scores["state"]) == ["TESTED"] * 3
    assert isinstance(magic(shell, f"folds {made.id}"), pd.DataFrame)
    fold = made.folds[0]
    assert fold.data.limits["hard_s"] == 100
    assert isinstance(magic(shell, f"predict {fold.id}"), Predictions)
    assert magic(shell, "show 'my tree'").id == made.id
    assert magic(shell, "wait").id == made.id
    assert made.id in magic(shell, "leaderboard iris").index
    assert made.id in [one.id for one in magic(shell, "submissions iris")]


def test_objects_and_paths(shell: InteractiveShell, iris: Dataset, tmp_path: Path) -> None:
    shell.run_cell("from sklearn.naive_bayes import GaussianNB\nbayes = GaussianNB()")
    made = magic(shell, "submit iris --object bayes --cv 2 --preflight --wait")
    assert {fold.state for fold in made.folds} == {"TESTED"}
    (tmp_path / "classifier.py").write_text(TREE)
    made = magic(shell, f"submit iris --path {tmp_path} --cv 2")
    assert made.source("classifier.py") == TREE
    with pytest.raises(UsageError, match="there is no nothing in this notebook"):
        magic(shell, "submit iris --object nothing")
    with pytest.raises(UsageError, match="nothing to submit, or too much"):
        magic(shell, "submit iris")


def test_upload_and_split(shell: InteractiveShell, frame: pd.DataFrame, session: Session) -> None:
    shell.user_ns["flowers"] = frame
    made = magic(shell, "upload flowers --target species --split 30")
    assert (made.name, made.data.n_test) == ("flowers", 30)
    assert magic(shell, "split flowers 0.5 --seed 1").data.n_test == 75
    assert len(magic(shell, "data flowers --rows 3")) == 3
    assert "flowers" in [one.name for one in magic(shell, "data")]
    made.delete()


def test_cancel_and_rerun(shell: InteractiveShell, iris: Dataset) -> None:
    made = magic(shell, "submit iris --cv 2 --file classifier.py", SLOW.format(seconds=60))
    magic(shell, f"cancel --fold {made.folds[0].id}")
    magic(shell, "cancel")
    magic(shell, "wait")
    assert {fold.reason for fold in made.folds} == {"CANCELLED"}
    magic(shell, f"rerun {made.id}")
    magic(shell, "cancel")
    made.delete()


def test_log_and_debug(
    shell: InteractiveShell, iris: Dataset, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = magic(shell, "submit iris --cv 2 --wait", BROKEN)
    fold = made.folds[0].id
    capsys.readouterr()
    magic(shell, f"log {fold}")
    assert "undefined_thing" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="undefined_thing"):
        magic(shell, f"debug {fold} --no-pdb")
    bundle = magic(shell, f"debug {fold} --bundle {tmp_path / 'fold.zip'}")
    assert Path(bundle).stat().st_size > 1000


def test_debug_stands_at_the_error(
    shell: InteractiveShell, iris: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = magic(shell, "submit iris --cv 2 --wait", BROKEN)
    where: list[tuple[str, int]] = []

    def stand(error: BaseException) -> None:
        trace = error.__traceback__
        assert trace is not None
        while trace.tb_next is not None:
            trace = trace.tb_next
        where.append((Path(trace.tb_frame.f_code.co_filename).name, trace.tb_lineno))

    # The debugger's prompt needs a person; up to it everything is real.
    monkeypatch.setattr(
        "IPython.core.debugger.Pdb.interaction", lambda self, frame, error: stand(error)
    )
    magic(shell, f"debug {made.folds[0].id}")
    assert where == [("classifier.py", 4)]


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("sbumit iris", None, "no command 'sbumit'. Did you mean submit?"),
        ("submit iris --cv many", TREE, "invalid int value: 'many'\nusage: %%datarun submit"),
        ("submit iris --colour red", TREE, "unrecognized arguments: --colour"),
        ("submit nowhere", TREE, "no dataset called 'nowhere'; the server has: "),
        ("submit iris --preflight", BROKEN, "self.undefined_thing"),
        ("submit iris", "class Foo:\n    pass\n", "does not define Classifier"),
        ("submit iris", "class Classifier:\n  def\n", "line 2 of the cell"),
        ("submit iris", "%matplotlib inline\n", "magics and shell commands do not work in it"),
        ("scores 99999", None, "There is no such thing"),
        ("data iris", "x = 1", "data takes no cell"),
        ("log", None, "the following arguments are required: fold"),
        ("submit 'iris", TREE, "No closing quotation"),
        ("help sbumit", None, "no command 'sbumit'"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(
    shell: InteractiveShell, iris: Dataset, line: str, cell: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        magic(shell, line, cell)
    assert message in str(caught.value)


def test_help_and_doctor(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    magic(shell, "")
    everything = capsys.readouterr().out
    magic(shell, "help submit")
    assert "--priority" in capsys.readouterr().out
    for name in ("connect", "submit", "debug", "doctor"):
        assert f"  {name} " in everything
    magic(shell, "doctor")
    assert "2 slots" in capsys.readouterr().out
    assert magic(shell, "runners")["slots"].sum() == 2


def completions(shell: InteractiveShell, text: str) -> set[str]:
    with provisionalcompleter():
        return {one.text for one in shell.Completer.completions(text, len(text))}


def test_completion(shell: InteractiveShell, iris: Dataset) -> None:
    magic(shell, "data")
    assert {"submit", "submissions"} <= completions(shell, "%datarun sub")
    assert {"scores", "data", "help"} <= completions(shell, "%datarun ")
    assert "iris" in completions(shell, "%%datarun submit ")
    assert "--priority" in completions(shell, "%%datarun submit iris --pri")
    assert completions(shell, "%%datarun submit iris --priority ") == {"H", "L"}
    assert "submit" not in completions(shell, "x = sub")
