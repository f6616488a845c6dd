"""The examples of the public Python interface do what they show, on a real server."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import datarun_ext as dr
from datarun_ext import client
from datarun_ext.cli.demo_models import FOREST
from datarun_ext.notebook import Session
from datarun_ext.notebook import current as in_use
from datarun_ext.notebook.listing import Listing
from tests.live.conftest import LiveServer

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public() -> Iterator[tuple[str, object]]:
    for module in (dr, client):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
    yield "Listing", Listing


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[str, doctest.DocTest] = {}
    for name, thing in public():
        for one in finder.find(thing, name, module=False, globs={"dr": dr}):
            if one.examples:
                found[f"{one.filename}:{one.lineno}"] = one
    return list(found.values())


EXAMPLES = examples()


def test_there_are_examples() -> None:
    names = {one.name for one in EXAMPLES}
    assert {"datarun_ext.upload", "datarun_ext.Dataset.submit", "datarun_ext.pool"} <= names


@pytest.fixture
def folder(
    tmp_path: Path,
    frame: pd.DataFrame,
    server: LiveServer,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """The reader's working folder, beside a server that the client finds by itself."""
    frame.to_csv(tmp_path / "iris.csv", index=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "classifier.py").write_text(FOREST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATARUN_URL", server.url)
    monkeypatch.setenv("DATARUN_TOKEN", server.token)
    # An example may connect; what was in use is so again afterwards.
    monkeypatch.setattr(in_use, "_current", session)
    before = {one.id for one in session.datasets()}
    yield tmp_path
    for one in session.datasets():
        if one.id not in before:
            one.delete()


@pytest.mark.usefixtures("folder", "iris")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_an_example_does_what_it_shows(example: doctest.DocTest) -> None:
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append)
    assert tried
    assert not failed, "".join(said)
