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
        file for file in dataset.files if file.name.endswith(".csv") and not file.made_by_split
    ]
    if not tables:
        msg = f"Dataset {dataset.name!r} has no CSV file to show."
        raise NotFound(msg)
    shown: list[list[str]] = []
    labels: Counter[str] = Counter()
    n_rows = 0
    try:
        with open(Path(tables[0].path), encoding="utf-8", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            columns = next(reader, [])
            target = dataset.target_column
            place = columns.index(target) if target in columns else None
            # Row by row: the rows that are only counted may be most of the memory there is.
            for row in islice(reader, COUNTED_ROWS):
                n_rows += 1
                if len(shown) < rows:
                    shown.append([cell[:CELL_MAX] for cell in row])
                if place is not None and len(row) > place and len(labels) <= CLASSES_MAX:
                    labels[row[place][:CELL_MAX]] += 1
            ended = next(reader, None) is None
    except csv.Error as error:
        msg = f"{tables[0].name} is no CSV file: {error}."
        raise NotFound(msg) from error
    except FileNotFoundError as error:
        msg = f"{tables[0].name} is gone from the server's disk: send the dataset again."
        raise NotFound(msg) from error
    few = place is not None and len(labels) <= CLASSES_MAX
    return Preview(
        columns=columns,
        rows=shown,
        n_rows=dataset.n_train + dataset.n_test or (n_rows if ended else None),
        target=target,
        counts=_split_counts(dataset) or (dict(labels.most_common()) if few else None),
    )


def _split_counts(dataset: RawData) -> dict[str, int] | None:
    """Return the exact balance of the classes, which the split has counted."""
    labels = Labels.model_validate(dataset.labels or {})
    if labels.kind == "classes":
        codes = np.concatenate(
            [np.frombuffer(unpack(y, limit=1 << 34), "<i8") for y in (labels.train, labels.test)]
        )
        # A label that only the test set has belongs to no class.
        counts = np.bincount(codes[codes >= 0], minlength=len(labels.classes))
        return dict(zip(labels.classes, map(int, counts), strict=True))
    return None
