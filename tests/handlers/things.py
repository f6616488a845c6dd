"""Datasets, submissions and folds to send, and what is stored of them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import func, select

from datarun_ext.models import Base
from datarun_ext.services.master import Master
from tests.conftest import Api

CSV = b"a,b,kind\n" + b"".join(
    b"%d,%d,%s\n" % (i, i * i, b"xyz"[i % 3 : i % 3 + 1]) for i in range(15)
)
CLASSIFIER = b"class Classifier:\n    pass\n"
SPECIFIC = b"def prepare_data(path):\n    pass\n"
N_TRAIN, N_TEST = 10, 5


def packed(data: bytes) -> str:
    """Return base64(zlib(data)), as a client of datarun 0.4 makes it."""
    return base64.b64encode(zlib.compress(data)).decode()


def indices(*numbers: int) -> str:
    return packed(np.array(numbers, dtype="<i8").tobytes())


def floats(text: str, shape: Sequence[int] | None = None) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8")
    return flat if shape is None else flat.reshape(shape)


def dataset(name: str = "iris", **changes: Any) -> dict[str, Any]:
    """Return the body of a standard dataset."""
    body = {
        "name": name,
        "target_column": "kind",
        "workflow_elements": "classifier",
        "files": {"whatever.csv": packed(CSV)},
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


def fold(fold_id: int | None = 11, submission_id: int | None = 1, **changes: Any) -> dict[str, Any]:
    """Return the body of a fold of dataset 1; `...` leaves a field out."""
    body = {
        "databoard_sf_id": fold_id,
        "databoard_s_id": submission_id,
        "raw_data": 1,
        "files": {"classifier.py": packed(CLASSIFIER)},
        "train_is": indices(0, 1, 2, 3, 4, 5, 6),
        "test_is": indices(7, 8, 9),
        "priority": "L",
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


async def created(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post what must succeed."""
    status, answer = await api("POST", path, body)
    assert status == 201, answer
    assert isinstance(answer, dict)
    return answer


async def stored(master: Master) -> dict[str, Any]:
    """Return how many rows each table has, and every file on disk with its size."""

    def count(session: Any) -> dict[str, Any]:
        tables = Base.metadata.sorted_tables
        return {t.name: session.scalar(select(func.count()).select_from(t)) for t in tables}

    rows = await master.db.read(count)
    folders = (master.settings.dataset_dir, master.settings.submission_dir)
    files = {
        str(path): path.stat().st_size
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }
    return {**rows, "files": files}
