"""Defaults for a dataset: its name from its file, its workflow from its target."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

NAME_MAX = 40
MANY_NUMBERS = 20
"""More different numbers than this in the target are a regression."""
PEEK_BYTES = 1 << 20


def guess_name(data: Any) -> str:
    """Return a name for the dataset of that file, "" where there is no file."""
    if isinstance(data, str | PathLike):
        return Path(data).stem[:NAME_MAX]
    return ""


def table_columns(data: Any) -> list[str] | None:
    """Return the columns of a table; None if the data is none (a custom dataset)."""
    if hasattr(data, "columns"):
        return [str(column) for column in data.columns]
    head = _head(data)
    if head is None:
        return None
    return next(csv.reader(io.StringIO(head)), [])


def guess_workflow(data: Any, target: str) -> str:
    """Return "regressor" for a target of many different numbers, "classifier" for any other."""
    import pandas as pd

    if hasattr(data, "columns"):
        values = pd.Series(list(data[target]))
    else:
        head = _head(data)
        assert head is not None
        # The last line may be cut in the middle.
        whole = head if len(head) < PEEK_BYTES else head.rpartition("\n")[0]
        values = pd.read_csv(io.StringIO(whole), usecols=[target])[target]
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return "regressor" if numbers and values.nunique() > MANY_NUMBERS else "classifier"


def _head(data: Any) -> str | None:
    """Return the beginning of the only CSV file, None where there are other files."""
    if isinstance(data, Mapping) and len(data) == 1:
        (content,) = data.values()
        if isinstance(content, PathLike):
            return _head(content)
        raw = content if isinstance(content, bytes) else str(content).encode()
        return raw[:PEEK_BYTES].decode("utf-8-sig", errors="replace")
    if isinstance(data, list | tuple) and len(data) == 1:
        return _head(data[0])
    if isinstance(data, str | PathLike):
        with Path(data).expanduser().open("rb") as file:
            return file.read(PEEK_BYTES).decode("utf-8-sig", errors="replace")
    return None
