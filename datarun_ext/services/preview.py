"""The first rows of a dataset, and what its target looks like."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from datarun_ext.codecs import unpack
from datarun_ext.errors import NotFound
from datarun_ext.models import RawData
from datarun_ext.protocol import Labels
from datarun_ext.services.datasets import MADE_BY_SPLIT

COUNTED_ROWS = 100_000
"""Rows looked at for the balance of classes before the split has counted them all."""
CELL_MAX = 200
CLASSES_MAX = 50


@dataclass(frozen=True, slots=True)
class Preview:
    """Some rows as text."""

    columns: list[str]
    rows: list[list[str]]
    n_rows: int | None
    """None before the split, unless the file is short."""
    target: str
    counts: dict[str, int] | None
    """Rows of each label; None for a target with many values."""


async def preview(dataset: RawData, *, rows: int) -> Preview:
    """Return the first rows of a dataset.

    Raises
    ------
    NotFound
        If it has no table to show (a custom dataset's files can be anything).
    """
    return await asyncio.to_thread(_preview, dataset, rows)


def _preview(dataset: RawData, rows: int) -> Preview:
    tables = [
        file
        for file in dataset.files
        if file.name.endswith(".csv") and file.name not in MADE_BY_SPLIT
    ]
    if not tables:
        msg = f"Dataset {dataset.name!r} has no CSV file to show."
        raise NotFound(msg)
    with open(Path(tables[0].path), encoding="utf-8", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        try:
            columns = next(reader, [])
            looked_at = list(islice(reader, COUNTED_ROWS))
            ended = next(reader, None) is None
        except csv.Error as error:
            msg = f"{tables[0].name} is no CSV file: {error}."
            raise NotFound(msg) from error
    n_rows = dataset.n_train + dataset.n_test or (len(looked_at) if ended else None)
    return Preview(
        columns=columns,
        rows=[[cell[:CELL_MAX] for cell in row] for row in looked_at[:rows]],
        n_rows=n_rows,
        target=dataset.target_column,
        counts=_counts(dataset, columns, looked_at),
    )


def _counts(
    dataset: RawData, columns: list[str], looked_at: list[list[str]]
) -> dict[str, int] | None:
    labels = Labels.model_validate(dataset.labels or {})
    if labels.kind == "classes":
        codes = [
            np.frombuffer(unpack(y, limit=1 << 34), "<i8") for y in (labels.train, labels.test)
        ]
        counts = np.bincount(np.concatenate(codes), minlength=len(labels.classes))
        return dict(zip(labels.classes, map(int, counts), strict=True))
    if dataset.target_column not in columns:
        return None
    place = columns.index(dataset.target_column)
    found = Counter(row[place][:CELL_MAX] for row in looked_at if len(row) > place)
    return dict(found.most_common()) if len(found) <= CLASSES_MAX else None
