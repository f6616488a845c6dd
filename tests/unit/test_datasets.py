"""Datasets: what is known of them after the split, and what a list of them costs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from datarun_ext.codecs import pack
from datarun_ext.errors import BadRequest
from datarun_ext.models import StoredFile
from datarun_ext.protocol import Labels
from datarun_ext.services import datasets
from datarun_ext.services.preview import preview
from tests.unit.world import ALICE, World

LABELS = Labels(
    kind="classes",
    classes=("ant", "bee"),
    train=pack(np.array([0, 1, 1, 1, 0, 1], dtype="<i8")),
    test=pack(np.array([0, 1, -1, -1], dtype="<i8")),  # two of a label that is not in train
)


async def test_classes_are_known_without_the_labels(world: World) -> None:
    made = await world.new_dataset("insects")
    for labels, classes in ((LABELS, ["ant", "bee"]), (Labels(), []), (LABELS, ["ant", "bee"])):
        await world.split(made, labels=labels)
        one = await world.datasets.get(who=ALICE, raw_data_id=made)
        (listed,) = [item for item in await world.datasets.list(who=ALICE) if item.id == made]
        for dataset in (one, listed):
            assert dataset.classes == classes
            # They may be as large as the dataset: only who asks for them waits for them.
            assert "labels" in inspect(dataset).unloaded
        whole = await world.datasets.get(who=ALICE, raw_data_id=made, labels=True)
        assert Labels.model_validate(whole.labels) == labels


async def test_a_label_that_only_the_test_set_has_is_of_no_class(world: World) -> None:
    made = await world.new_dataset("insects")
    await world.split(made, labels=LABELS)
    dataset = await world.datasets.get(who=ALICE, raw_data_id=made, labels=True)
    assert (await preview(dataset, rows=1)).counts == {"ant": 3, "bee": 5}


async def test_no_file_stands_twice(world: World) -> None:
    """Also not when one of its two owners is NULL, as it always is."""
    made = await world.new_dataset("train")
    await world.new_fold(1, raw_data_id=made)
    # A dataset called "train" has a file of the name that its split makes, again and again.
    for _ in range(2):
        await world.split(made, labels=LABELS, files=("train.csv", "test.csv"))
    files = (await world.datasets.get(who=ALICE, raw_data_id=made)).files
    assert [(file.name, file.made_by_split) for file in files] == [
        ("train.csv", False),
        ("train.csv", True),
        ("test.csv", True),
    ]
    for owner in ({"raw_data_id": made}, {"submission_id": 1}):
        for name, by_split, fits in (
            ("new.csv", False, True),
            ("new.csv", False, False),
            ("new.csv", True, "raw_data_id" in owner),
        ):

            def add(session: Any, values: dict[str, Any]) -> None:
                session.add(StoredFile(sha256="", size=0, path="/gone", **values))

            values = {"name": name, "made_by_split": by_split, **owner}
            if fits:
                await world.db.write(add, values)
                continue
            with pytest.raises(IntegrityError):
                await world.db.write(add, values)
    with pytest.raises(BadRequest, match="twice"):
        await world.split(made, labels=LABELS, files=("train.csv", "train.csv"))


def test_the_files_of_an_owner_are_found_by_index(sqlite_with_tables: Path) -> None:
    with sqlite3.connect(sqlite_with_tables) as connection:
        for owner in ("raw_data_id", "submission_id"):
            query = f"EXPLAIN QUERY PLAN SELECT * FROM stored_file WHERE {owner} = ?"
            (plan,) = connection.execute(query, (1,)).fetchall()
            assert f"USING INDEX ix_stored_file_{owner}_name" in plan[3]


async def test_the_folds_of_all_datasets_are_counted_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "IDS_MAX", 2)
    made = [world.raw_data_id, *[await world.new_dataset(name) for name in ("b", "c", "empty")]]
    for fold_id, (raw_data_id, submission) in enumerate(
        [(made[0], 1), (made[0], 1), (made[1], 2), (made[2], 3)], start=1
    ):
        await world.new_fold(fold_id, submission, raw_data_id=raw_data_id)
    await world.dispatch()  # what is announced is TODO, as what waits
    await world.folds.cancel(who=ALICE, fold_id=2)
    assert await world.datasets.counts(raw_data_ids=made) == {
        made[0]: {"TODO": 1, "ERROR": 1},
        made[1]: {"TODO": 1},
        made[2]: {"TODO": 1},
        made[3]: {},
    }
    assert await world.datasets.counts(raw_data_ids=[]) == {}
