"""Read a CSV file strictly: what pandas would silently bend is refused with row and reason."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd

from celery_app.execution import RunFault
from datarun_ext.protocol import Reason

_CHUNK = 4 << 20
_NEWLINE, _COMMA = 10, 44


def read_table(path: str, name: str, target_column: str) -> pd.DataFrame:
    """Return the frame that `pandas.read_csv` gives, or raise with what is wrong in the file.

    Parameters
    ----------
    path : str
        The file.
    name : str
        How a person calls it.
    target_column : str
        Must be one of its columns.

    Raises
    ------
    RunFault
        DATA_ERROR: the file is empty, has no row, is no UTF-8 text, has rows of unequal length,
        has two columns of one name, or lacks the target column.
    """
    simple = _check_bytes(path, name)
    header = _read_header(path, name)
    _check_lengths(path, name, len(header), simple=simple)
    try:
        with open(path, "rb") as file:
            frame = pd.read_csv(file, compression=None)
    except (ValueError, pd.errors.ParserError) as error:
        raise _fault(f"{name} cannot be read: {str(error).strip()}.") from None
    if not len(frame):
        raise _fault(f"{name} has a header but no rows.")
    if target_column not in frame.columns:
        columns = ", ".join(map(str, frame.columns[:20]))
        raise _fault(f'{name} has no column "{target_column}" (the target); it has: {columns}.')
    return frame


def _fault(detail: str) -> RunFault:
    return RunFault(Reason.DATA_ERROR, detail)


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _check_bytes(path: str, name: str) -> bool:
    """Refuse what is no text. True when no field is quoted and lines end as usual."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    simple, row, start, blank = True, 1, 0, True
    for chunk in _chunks(path):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            at = error.start - pending
            row += chunk.count(b"\n", 0, max(at, 0))
            raise _fault(
                f"{name} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at position "
                f"{start + at}, row {row}. Save it as UTF-8."
            ) from None
        if (at := chunk.find(b"\0")) >= 0:
            row += chunk.count(b"\n", 0, at)
            raise _fault(f"{name} holds a NUL byte at position {start + at}, row {row}.")
        simple = simple and b'"' not in chunk
        simple = simple and chunk.count(b"\r") == chunk.count(b"\r\n")
        blank = blank and not chunk.strip(b"\xef\xbb\xbf \t\r\n")
        row += chunk.count(b"\n")
        start += len(chunk)
    if decoder.getstate()[0]:
        raise _fault(f"{name} is not UTF-8 text: its last character is cut off.")
    if blank:
        raise _fault(f"{name} is empty.")
    return simple


def _records(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of every record that is not blank."""
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for record in reader:
            if len(record) > 1 or (record and record[0].strip()):
                yield reader.line_num, record


def _read_header(path: str, name: str) -> list[str]:
    header = next((record for _, record in _records(path)), None)
    if header is None:
        raise _fault(f"{name} is empty.")
    seen: set[str] = set()
    for column in header:
        if column and column in seen:
            raise _fault(f'{name} has two columns named "{column}".')
        seen.add(column)
    return header


def _check_lengths(path: str, name: str, expected: int, *, simple: bool) -> None:
    if expected == 1 and simple:
        counts: Iterator[tuple[int, int]] = _fast_lengths(path, 0)
    elif simple:
        counts = _fast_lengths(path, expected - 1)
    else:
        counts = ((line, len(record)) for line, record in _records(path) if len(record) != expected)
    for line, found in counts:
        raise _fault(f"Row {line} of {name} has {found} fields, its header has {expected}.")


def _fast_lengths(path: str, commas: int) -> Iterator[tuple[int, int]]:
    """Yield line number and fields of the lines that have another number of commas."""
    line, rest = 1, b""
    for chunk in _chunks(path):
        block = rest + chunk
        cut = block.rfind(b"\n") + 1
        block, rest = block[:cut], block[cut:]
        if block:
            yield from _odd_lines(block, commas, line)
            line += block.count(b"\n")
    if rest:
        yield from _odd_lines(rest + b"\n", commas, line)


def _odd_lines(block: bytes, commas: int, first: int) -> Iterator[tuple[int, int]]:
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    found = np.diff(np.searchsorted(np.flatnonzero(data == _COMMA), ends), prepend=0)
    for index in np.flatnonzero(found != commas):
        begin = ends[index - 1] + 1 if index else 0
        if block[begin : ends[index]].strip(b" \t\xef\xbb\xbf"):
            yield first + int(index), int(found[index]) + 1
