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
    before = {one.id for one in server.client().datasets.list()}
    notebook = run(path, server, monkeypatch)
    shown = outputs(notebook)
    assert shown
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
    # What a person makes in an example is deleted at its end.
    assert {one.id for one in server.client().datasets.list()} == before


def notebook_of(path: Path, *cells: str) -> Path:
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), path
    )
    return path


SUBMITTED = f"""
import datarun_ext as dr
from sklearn.datasets import load_iris

data = dr.upload(load_iris(as_frame=True).frame, name="again", target="target").split()
submission = data.submit({SLOW.format(seconds=3)!r}, name="<img src=x>", cv=3)
submission
"""
FOUND_AGAIN = """
import datarun_ext as dr, time

submission = dr.submission("<img src=x>")
submission
"""
# Nothing of this cell touches the view: it becomes done by itself.
ENDED = """
for _ in submission: pass
end = time.monotonic() + 60
while submission.session.watcher.running and time.monotonic() < end: time.sleep(0.1)
dr.dataset("again").delete()
"""


def test_after_a_restart_of_the_kernel_a_view_goes_on_and_becomes_done_by_itself(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(notebook_of(tmp_path / "before.ipynb", SUBMITTED), server, monkeypatch)
    done = run(notebook_of(tmp_path / "after.ipynb", FOUND_AGAIN, ENDED), server, monkeypatch)
    (bundle,) = (one for one in outputs(done) if "text/html" in one)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "<img" not in str(bundle["text/html"])
    widgets = done.metadata.widgets["application/vnd.jupyter.widget-state+json"].state.values()
    (bar,) = (one.state for one in widgets if one.model_name == "IntProgressModel")
    assert (bar.value, bar.max, bar.bar_style) == (3, 3, "success")
    texts = [one.state["value"] for one in widgets if one.model_name == "HTMLModel"]
    assert any("3 tested" in text and "&lt;img" in text for text in texts)
    assert not any("<img" in text for text in texts)
