"""Datasets: what is known of them after the split, and what a list of them costs."""

from __future__ import annotations

import numpy as np
from sqlalchemy import inspect

from datarun_ext.codecs import pack
from datarun_ext.protocol import Labels
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
