from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datarun_ext.client.codec import (
    csv_bytes,
    pack_indices,
    read_files,
    unpack_indices,
    unpack_predictions,
)


@pytest.mark.parametrize(
    "given",
    [[0, 3, 5], np.array([0, 3, 5], "int32"), np.array([0, 3, 5], ">u2"), pd.Series([0, 3, 5])],
)
def test_indices_travel_as_int64_little_endian(given: object) -> None:
    text = pack_indices(given)  # type: ignore[arg-type]
    raw = zlib.decompress(base64.b64decode(text))
    assert raw == np.array([0, 3, 5], "<i8").tobytes()
    assert unpack_indices(text).tolist() == [0, 3, 5]


@pytest.mark.parametrize("given", [[True, False, True], [0.0, 1.5], [[1, 2], [3, 4]], ["a"]])
def test_what_would_be_misread_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="whole numbers"):
        pack_indices(given)  # type: ignore[arg-type]


def test_no_indices_are_no_float() -> None:
    assert unpack_indices(pack_indices([])).tolist() == []


def test_predictions_come_in_their_shape_and_may_be_changed() -> None:
    values = np.arange(6.0).reshape(3, 2)
    text = base64.b64encode(zlib.compress(values.tobytes())).decode()
    got = unpack_predictions(text, [3, 2])
    assert got.shape == (3, 2)
    got += 1
    assert (got == values + 1).all()
    assert unpack_predictions(text, None).shape == (6,)


def test_files_from_a_folder_a_list_and_a_mapping(tmp_path: Path) -> None:
    for name in ("classifier.py", "notes.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub.py").mkdir()
    expected = {"classifier.py": b"classifier.py"}
    assert read_files(tmp_path, suffix=".py") == expected
    assert read_files([tmp_path / "classifier.py"]) == expected
    assert read_files({"classifier.py": tmp_path / "classifier.py"}) == expected
    assert read_files({"classifier.py": "classifier.py"}) == expected
    assert read_files({"classifier.py": b"classifier.py"}) == expected


def test_files_that_would_hide_each_other_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.py").write_text(folder)
    with pytest.raises(ValueError, match=r"two files are called m\.py"):
        read_files([tmp_path / "a" / "m.py", tmp_path / "b" / "m.py"])


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \.py"):
        read_files(tmp_path, suffix=".py")


def test_a_frame_becomes_csv_without_its_index() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.0], "y": ["a", "b,c"]}, index=[7, 8])
    assert csv_bytes(frame) == b'x,y\n1.5,a\n2.0,"b,c"\n'
