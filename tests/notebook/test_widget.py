"""The live views, against a real server; their buttons are pressed as a browser would."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from datarun_ext.client import Client
from datarun_ext.notebook import Dataset, Session, Submission
from datarun_ext.notebook import watch as watching
from datarun_ext.widget import Panel, SubmissionView
from tests.live.conftest import LiveServer
from tests.live.samples import BROKEN, SLOW, TREE
from tests.notebook.relay import Relay


def until(condition: Callable[[], Any], within: float = 90.0) -> None:
    """Wait for what a thread will do."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_becomes_done_by_itself(iris: Dataset) -> None:
    view = iris.submit(TREE, name="<img src=x onerror=y>", cv=3).widget()
    until(lambda: view._bar.bar_style == "success")
    assert (view._bar.value, view._bar.max) == (3, 3)
    assert "3 tested" in view._summary.value
    assert "test_accuracy" in view._table.value
    assert "<img" not in view._summary.value
    assert view._cancel.disabled
    assert view._rerun.disabled
    until(lambda: not view._submission.session.watcher.running)


def test_buttons(iris: Dataset) -> None:
    submission = iris.submit(SLOW.format(seconds=60), cv=2)
    view = submission.widget()
    until(lambda: "training" in view._table.value)
    view._show_log.click()
    view._cancel.click()
    until(lambda: view._bar.bar_style == "danger")
    assert "CANCELLED" in view._table.value
    view._rerun.click()
    until(lambda: "training" in view._table.value)
    until(lambda: "training" in submission.log(view._which.value))
    view._show_log.click()
    assert "training" in view._log.value
    view._cancel.click()
    until(lambda: view._bar.value == 2)
    submission.delete()
    view._show_log.click()
    assert "404" in view._note.value


def test_an_error_shows_the_line_and_is_escaped(iris: Dataset) -> None:
    code = BROKEN.replace("self.undefined_thing", "self.undefined_thing  # <script>")
    view = iris.submit(code, cv=2).widget()
    until(lambda: view._bar.value == 2 and "undefined_thing" in view._table.value)
    assert "classifier.py:4" in view._table.value
    assert "&lt;script&gt;" in view._table.value
    assert "<script>" not in view._table.value + view._repr_html_()


def test_what_is_shown(iris: Dataset) -> None:
    submission = iris.submit(TREE, cv=2).wait(120)
    bundle = submission._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert "2 tested" in bundle["text/plain"]
    assert "<table" in bundle["text/html"]


class Recorder:
    """A view that writes down when it was told what."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.folds: Any = ()
        self.links: list[bool] = []

    def show(self, folds: Any) -> None:
        self.at.append(time.monotonic())
        self.folds = folds

    def lost(self, why: str) -> None:
        raise AssertionError(why)

    def connected(self, yes: bool) -> None:
        self.links.append(yes)


def test_at_most_four_updates_a_second_from_one_thread(session: Session, iris: Dataset) -> None:
    views = [Recorder(), Recorder()]
    submission = iris.submit(TREE, cv=8)
    for view in views:
        session.watcher.watch(submission.id, view)
    thread = session.watcher._thread
    until(lambda: len(views[0].folds) == 8 and all(f.state.final for f in views[0].folds))
    assert session.watcher._thread in (thread, None)
    for view in views:
        gaps = [b - a for a, b in zip(view.at, view.at[1:], strict=False)]
        assert all(gap >= watching.EVERY_S * 0.9 for gap in gaps)
    until(lambda: not session.watcher.running)


def test_a_forgotten_view_is_not_kept(session: Session, iris: Dataset) -> None:
    submission = iris.submit(SLOW.format(seconds=60), cv=2)
    view = Recorder()
    session.watcher.watch(submission.id, view)
    told = view.at
    until(lambda: len(told) > 0)
    del view
    gc.collect()
    until(lambda: not session.watcher.running)
    submission.cancel()
    submission.delete()


@pytest.mark.timeout(300)
def test_a_view_goes_on_after_the_server_was_away(tmp_path: Path, frame: pd.DataFrame) -> None:
    # A short lease: what ran when the server was killed is sent again when it is over.
    short = {"DATARUN_LEASE_S": "8", "DATARUN_HEARTBEAT_S": "1", "DATARUN_RECONCILE_S": "1"}
    server = LiveServer(tmp_path, **short).start()
    try:
        session = Session(server.client())
        data = session.upload(frame, name="iris", target="species").split(timeout=120)
        submission = data.submit(SLOW.format(seconds=2), cv=3)
        view = submission.widget()
        server.kill()
        until(lambda: "cannot be reached" in view._note.value)
        server.start()
        until(lambda: view._bar.bar_style == "success", within=200)
        assert view._note.value == ""
        session.close()
    finally:
        server.stop()


def test_a_view_misses_nothing_while_the_connection_is_lost(
    server: LiveServer, iris: Dataset
) -> None:
    with Relay(server.port) as relay, server.client() as direct:
        through = server.url.replace(f":{server.port}/", f":{relay.port}/")
        session = Session(Client(through, token=server.token))
        submission = session.dataset(iris.id).submit(SLOW.format(seconds=2), cv=3)
        view = submission.widget()
        until(lambda: "training" in view._table.value)
        relay.cut()
        until(lambda: "cannot be reached" in view._note.value)
        direct.wait(direct.submissions.get(submission.id), 120)
        assert "3 tested" not in view._summary.value
        relay.mend()
        until(lambda: view._bar.bar_style == "success")
        assert "3 tested" in view._summary.value
        assert view._note.value == ""
        session.close()


def upload_of(name: str, content: bytes) -> dict[str, Any]:
    now = datetime.now(UTC)
    about = {"name": name, "type": "", "size": len(content), "last_modified": now}
    return {**about, "content": memoryview(content)}


def test_panel(session: Session, frame: pd.DataFrame) -> None:
    panel = Panel(session)
    panel._upload.click()
    assert "choose a CSV file" in panel._note.value
    panel._files.value = (upload_of("by panel.csv", frame.to_csv(index=False).encode()),)
    assert panel._name.value == "by panel"
    assert (panel._target.value, panel._workflow.value) == ("species", "classifier")
    panel._upload.click()
    assert "120 rows to train on" in panel._note.value
    assert panel._dataset.value == session.dataset("by panel").id
    panel._submit.click()
    assert "choose a dataset" in panel._note.value
    panel._code.value = (upload_of("classifier.py", TREE.encode()),)
    panel._title.value = "<i>by panel"
    panel._cv.value = 2
    panel._submit.click()
    (view,) = panel._shown.children
    assert isinstance(view, SubmissionView)
    until(lambda: view._bar.bar_style == "success")
    panel._files.value = (upload_of("x.csv", b"a,b\n1,2\n"),)
    panel._name.value = "by panel"
    panel._target.value = "b"
    panel._upload.click()
    assert "already exists" in panel._note.value
    session.dataset("by panel").delete()


def test_a_submission_is_whole_without_a_view(tmp_path: Path, session: Session) -> None:
    made = Submission(session, session.client.submissions.list()[0])
    assert made.row()["submission"] == made.id
