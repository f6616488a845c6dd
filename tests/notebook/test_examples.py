"""Every example runs from top to bottom on a fresh server, in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.live.conftest import LiveServer
from tests.live.samples import SLOW

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def run(path: Path, server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    monkeypatch.setenv("DATARUN_URL", server.url)
    monkeypatch.setenv("DATARUN_TOKEN", server.token)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=150, kernel_name="python3", resources={"metadata": {"path": "/tmp"}}
    ).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[dict[str, object]]:
    """All bundles that were displayed."""
    return [
        dict(output["data"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    ]


def test_there_are_the_six() -> None:
    assert [path.name[0] for path in EXAMPLES] == list("abcdef")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = run(path, server, monkeypatch)
    shown = outputs(notebook)
    assert shown
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
    # What a person makes in an example is deleted at its end.
    left = [one.name for one in server.client().datasets.list()]
    assert not [name for name in left if name != "iris"]


def test_after_a_restart_of_the_kernel_a_submission_goes_on(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = [
        "import datarun_ext as dr\n"
        "from sklearn.datasets import load_iris\n"
        "data = dr.upload(load_iris(as_frame=True).frame, name='again', target='target').split()",
        f"s = data.submit({SLOW.format(seconds=3)!r}, name='restarted', cv=2)\ns",
    ]
    after = [
        "import datarun_ext as dr, time\ns = dr.submission('restarted')\ns",
        "for _ in s: pass\n"
        "end = time.monotonic() + 60\n"
        "while s.session.watcher.running and time.monotonic() < end: time.sleep(0.1)",
        "dr.dataset('again').delete()",
    ]
    path = tmp_path / "again.ipynb"
    for cells in (before, after):
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), path
        )
        done = run(path, server, monkeypatch)
    assert bar_of(done).bar_style == "success"


def bar_of(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"].state.values()
    (bar,) = (one.state for one in widgets if one.model_name == "IntProgressModel")
    return bar


def test_a_displayed_submission_becomes_done_without_another_cell(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = [
        "import datarun_ext as dr, time, ipywidgets, warnings\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "warnings.simplefilter('ignore')\n"
        "data = dr.upload(load_iris(as_frame=True).frame, name='shown', target='target').split()",
        "submission = data.submit(LogisticRegression(), name='<img src=x>', cv=3)\nsubmission",
        "for _ in submission: pass\n"
        "end = time.monotonic() + 60\n"
        "while submission.session.watcher.running and time.monotonic() < end: time.sleep(0.1)\n"
        "data.delete()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    path = tmp_path / "shown.ipynb"
    nbformat.write(notebook, path)
    done = run(path, server, monkeypatch)
    (bundle,) = (one for one in outputs(done) if "text/html" in one)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "<img" not in str(bundle["text/html"])
    widgets = done.metadata.widgets["application/vnd.jupyter.widget-state+json"].state.values()
    bar = bar_of(done)
    assert (bar.value, bar.max, bar.bar_style) == (3, 3, "success")
    texts = [one.state["value"] for one in widgets if one.model_name == "HTMLModel"]
    assert any("3 tested" in text and "&lt;img" in text for text in texts)
    assert not any("<img" in text for text in texts)
