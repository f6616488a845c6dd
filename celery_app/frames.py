"""Store a DataFrame once, and open it many times without reading or parsing it.

A frame becomes two files: ``<name>.bin``, the raw bytes of its blocks one after another, and
``<name>.json``, which says where each lies. `load_frame` maps the bytes copy-on-write: all
processes share the pages, and one that writes to its frame changes nothing but its own copy. The
frame has the blocks, dtypes and memory order of the one that was stored, so computations on it
give the same bits. No part of the format can hold code.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from pandas.api.internals import (  # type: ignore[import-not-found]
    create_dataframe_from_blocks,
)

_ALIGNMENT = 64


def store_frame(folder: str | os.PathLike[str], name: str, frame: pd.DataFrame) -> None:
    """Write a frame as `pandas.read_csv` makes them into a folder.

    Parameters
    ----------
    folder : path
        An existing folder.
    name : str
        Names the two files.
    frame : DataFrame
        With a `RangeIndex` from 0 and text as column names.

    Raises
    ------
    TypeError
        If a column holds something that no CSV file can hold.
    """
    blocks: list[dict[str, Any]] = []
    with open(Path(folder) / f"{name}.bin", "wb") as file:
        for block in frame._mgr.blocks:
            described = _store_values(file, block.values)
            described["placement"] = block.mgr_locs.as_array.tolist()
            blocks.append(described)
    head = {"rows": len(frame), "columns": list(frame.columns), "blocks": blocks}
    (Path(folder) / f"{name}.json").write_text(json.dumps(head), encoding="utf-8")


def load_frame(folder: str | os.PathLike[str], name: str) -> pd.DataFrame:
    """Open a stored frame; its numbers stay in the file until they are used."""
    head = json.loads((Path(folder) / f"{name}.json").read_bytes())
    buffer = _map_file(Path(folder) / f"{name}.bin")
    blocks = [
        (_load_values(buffer, block, head["rows"]), np.array(block["placement"], dtype=np.intp))
        for block in head["blocks"]
    ]
    frame: pd.DataFrame = create_dataframe_from_blocks(
        blocks,
        index=pd.RangeIndex(head["rows"]),
        columns=pd.Index(head["columns"], dtype="str"),
    )
    return frame


def _map_file(path: Path) -> memoryview:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _put(file: BinaryIO, data: bytes | memoryview) -> dict[str, int]:
    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
    place = {"offset": file.tell(), "size": memoryview(data).nbytes}
    file.write(data)
    return place


def _take(buffer: memoryview, place: dict[str, int]) -> memoryview:
    return buffer[place["offset"] : place["offset"] + place["size"]]


def _store_values(file: BinaryIO, values: Any) -> dict[str, Any]:
    if isinstance(values.dtype, pd.StringDtype):
        return _store_strings(file, values)
    if values.dtype == object:
        return _store_objects(file, values)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        msg = f"a column of type {values.dtype} cannot be stored"
        raise TypeError(msg)
    order = "C" if values.flags.c_contiguous or not values.flags.f_contiguous else "F"
    flat = np.ravel(values, order=order)  # type: ignore[call-overload]
    return {
        "kind": "numbers",
        "dtype": values.dtype.str,
        "shape": list(values.shape),
        "order": order,
        "data": _put(file, flat.view(np.uint8).data),
    }


def _store_objects(file: BinaryIO, values: np.ndarray) -> dict[str, Any]:
    cells = values.ravel(order="C").tolist()
    unknown = {type(cell) for cell in cells} - {str, int, float, bool, type(None)}
    if unknown:
        msg = f"a column holds values of type {unknown.pop().__name__}, which cannot be stored"
        raise TypeError(msg)
    data = _put(file, json.dumps(cells).encode())
    return {"kind": "objects", "shape": list(values.shape), "data": data}


def _store_strings(file: BinaryIO, values: Any) -> dict[str, Any]:
    missing = np.asarray(values.isna(), dtype=bool)
    cells = np.asarray(values, dtype=object)
    encoded = [b"" if gone else cell.encode() for cell, gone in zip(cells, missing, strict=True)]
    offsets = np.zeros(len(encoded) + 1, dtype="<i8")
    np.cumsum([len(cell) for cell in encoded], out=offsets[1:])
    described: dict[str, Any] = {
        "kind": "strings",
        "offsets": _put(file, offsets.view(np.uint8).data),
        "data": _put(file, b"".join(encoded)),
    }
    if missing.any():
        present = np.packbits(~missing, bitorder="little")
        described["present"] = _put(file, present.data)
    return described


def _load_values(buffer: memoryview, block: dict[str, Any], rows: int) -> Any:
    if block["kind"] == "strings":
        return _load_strings(buffer, block, rows)
    data = _take(buffer, block["data"])
    if block["kind"] == "objects":
        cells = np.empty(int(np.prod(block["shape"])), dtype=object)
        cells[:] = json.loads(bytes(data))
        return cells.reshape(block["shape"])
    numbers = np.frombuffer(data, dtype=block["dtype"])
    return numbers.reshape(block["shape"], order=block["order"])


def _load_strings(buffer: memoryview, block: dict[str, Any], rows: int) -> Any:
    dtype = pd.StringDtype(na_value=np.nan)
    offsets, data = _take(buffer, block["offsets"]), _take(buffer, block["data"])
    present = _take(buffer, block["present"]) if "present" in block else None
    if dtype.storage == "pyarrow":
        import pyarrow as pa

        parts = [pa.py_buffer(part) if part is not None else None for part in (present, offsets)]
        array = pa.Array.from_buffers(pa.large_string(), rows, [*parts, pa.py_buffer(data)])
        return dtype.__from_arrow__(array)  # type: ignore[attr-defined]
    ends = np.frombuffer(offsets, dtype="<i8").tolist()
    text = bytes(data)
    cells = np.empty(rows, dtype=object)
    cells[:] = [text[a:b].decode() for a, b in zip(ends[:-1], ends[1:], strict=True)]
    if present is not None:
        bits = np.unpackbits(np.frombuffer(present, dtype=np.uint8), count=rows, bitorder="little")
        cells[bits == 0] = np.nan
    return pd.array(cells, dtype=dtype)
