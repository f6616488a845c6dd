"""What a person gives, as it travels: files, indices, data frames; and predictions, back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datarun_ext import codecs
from datarun_ext.codecs import pack

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Content",
    "Files",
    "csv_bytes",
    "pack",
    "pack_indices",
    "read_files",
    "unpack_indices",
    "unpack_predictions",
]

Content = bytes | str | PathLike[str]
"""Bytes; text (a `str` is the content, never a path); or the path of a file (`pathlib.Path`)."""

Files = Mapping[str, Content] | Sequence[str | PathLike[str]] | str | PathLike[str]
"""``{file name: content}``, paths of files, or the path of one file or of a folder."""


def pack_indices(indices: ArrayLike) -> str:
    """Return indices of a fold as text for the wire (int64, little-endian).

    Raises
    ------
    TypeError
        If the indices are no whole numbers: booleans (a mask) and floats would be misread.
    """
    array = np.asarray(indices)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        msg = (
            f"indices must be whole numbers in one dimension, not {array.dtype} in {array.ndim}; "
            "turn a mask into indices with numpy.flatnonzero(mask)"
        )
        raise TypeError(msg)
    return codecs.pack_indices(array)


def unpack_indices(text: str) -> NDArray[np.int64]:
    """Return the indices of a fold."""
    return codecs.unpack_indices(text).astype(np.int64)


def unpack_predictions(text: str, shape: Sequence[int] | None) -> NDArray[np.float64]:
    """Return predictions in the shape that the submission gave them."""
    array = codecs.unpack_floats(text, None if shape is None else tuple(shape))
    # What is unpacked is read-only; people sort and clip their predictions in place.
    return array.astype(np.float64)


def read_files(files: Files, *, suffix: str = "") -> dict[str, bytes]:
    """Return ``{file name: bytes}`` of whatever form a person gave the files in.

    Parameters
    ----------
    files : mapping, path or sequence of paths
        See `Files`. Of a folder, its files (not its sub-folders) that end in `suffix`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing there, or two files have the same name.
    """
    if isinstance(files, Mapping):
        return {name: _content(value) for name, value in files.items()}
    paths = [files] if isinstance(files, str | PathLike) else list(files)
    found: dict[str, bytes] = {}
    for given in paths:
        for path in _expand(Path(given).expanduser(), suffix):
            if path.name in found:
                msg = f"two files are called {path.name}: rename one, a server keeps them together"
                raise ValueError(msg)
            found[path.name] = path.read_bytes()
    return found


def _expand(path: Path, suffix: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = sorted(p for p in path.iterdir() if p.is_file() and p.name.endswith(suffix))
    if not inside:
        msg = f"the folder {path} holds no {suffix or 'file'}: give the files' paths"
        raise FileNotFoundError(msg)
    return inside


def _content(value: Content) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else Path(value).expanduser().read_bytes()


def csv_bytes(frame: Any) -> bytes:
    """Return a pandas or polars frame as the CSV that datarun reads."""
    if hasattr(frame, "write_csv"):
        return str(frame.write_csv()).encode()
    return str(frame.to_csv(index=False)).encode()
