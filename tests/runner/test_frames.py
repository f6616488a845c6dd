from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_app.frames import load_frame, store_frame
from celery_app.programs.objects import load_object, store_object

TABLE = """number,whole,big,text,gaps,truth,mixed,half,empty
1.5,1,9007199254740993,äöü,,True,1,True,
2.25,2,9223372036854775807,"a,b",x,False,two,,
-0.1,3,-5,"line
break",,True,3.5,False,
"""


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def layout(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return [
        (
            block.mgr_locs.as_array.tolist(),
            block.values.dtype,
            block.values.shape,
            getattr(block.values, "strides", None),
        )
        for block in frame._mgr.blocks
    ]


def test_a_frame_comes_back_with_types_blocks_and_gaps(tmp_path: Path) -> None:
    frame = read(TABLE)
    store_frame(tmp_path, "table", frame)
    loaded = load_frame(tmp_path, "table")
    pd.testing.assert_frame_equal(loaded, frame, check_column_type=True, check_freq=True)
    assert layout(loaded) == layout(frame)
    assert type(loaded.index) is type(frame.index)


def test_a_homogeneous_block_keeps_its_memory_order(tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(4, 3)
    for order in ("C", "F"):
        frame = pd.DataFrame(np.array(values, order=order), columns=list("abc"))
        store_frame(tmp_path, order, frame)
        loaded = load_frame(tmp_path, order)
        assert layout(loaded) == layout(frame)
        assert np.array(loaded).flags.f_contiguous == np.array(frame).flags.f_contiguous


def test_writing_to_a_frame_does_not_touch_the_file(tmp_path: Path) -> None:
    store_frame(tmp_path, "table", read(TABLE))
    before = (tmp_path / "table.bin").read_bytes()
    frame = load_frame(tmp_path, "table")
    frame["number"].to_numpy()
    frame.iloc[:, 0] = -1.0
    frame.loc[0, "text"] = "changed"
    block = next(block for block in frame._mgr.blocks if block.values.dtype == np.int64)
    block.values[:] = 0
    assert (tmp_path / "table.bin").read_bytes() == before
    assert load_frame(tmp_path, "table")["whole"].tolist() == [1, 2, 3]


def test_a_frame_without_columns_keeps_its_rows(tmp_path: Path) -> None:
    frame = read("a\n1\n2\n").drop(["a"], axis=1)
    store_frame(tmp_path, "empty", frame)
    pd.testing.assert_frame_equal(load_frame(tmp_path, "empty"), frame)


def test_a_column_that_no_csv_gives_is_refused(tmp_path: Path) -> None:
    for column in (pd.to_datetime(["2026-01-01"]), pd.Series([{"a": 1}])):
        with pytest.raises(TypeError, match="cannot be stored"):
            store_frame(tmp_path, "odd", pd.DataFrame({"a": column}))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=8)),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.integers(-(2**62), 2**62),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_pandas_reads_comes_back(
    rows: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("frame")
    text = io.StringIO()
    pd.DataFrame(rows, columns=["text", "number", "whole"]).to_csv(text, index=False)
    frame = read(text.getvalue())
    store_frame(folder, "frame", frame)
    pd.testing.assert_frame_equal(load_frame(folder, "frame"), frame, check_exact=True)


def test_objects_share_their_arrays_and_stay_writable(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(1e5).reshape(1000, 100))
    value = [{"a": array}, pd.Series(["x", "y"]), lambda x: x + 1]
    store_object(str(tmp_path), "X", value)
    loaded = load_object(str(tmp_path), "X")
    assert loaded[2](1) == 2
    assert loaded[1].tolist() == ["x", "y"]
    assert loaded[0]["a"].flags.f_contiguous
    loaded[0]["a"][:] = 0
    assert np.array_equal(load_object(str(tmp_path), "X")[0]["a"], array)
    assert (tmp_path / "X.pickle").stat().st_size < 10_000
