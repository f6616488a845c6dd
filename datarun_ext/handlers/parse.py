"""From a request's bytes to a checked body; what is wrong is said in the words of datarun 0.4."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from datarun_ext.codecs import CodecError, CodecTooLarge, unpack, unpack_indices
from datarun_ext.errors import BadRequest, InvalidField, InvalidFields, TooLarge
from datarun_ext.services.new import Indices

M = TypeVar("M", bound=BaseModel)

JSON_FILES_MAX = 512 << 20
"""Bytes of files in one JSON body, which is held in memory; larger ones are uploaded."""
UNSUSPICIOUS = 64 << 20
RATIO_MAX = 200
"""Bytes from one character beyond the first `UNSUSPICIOUS` bytes: no table is that regular."""
INDICES_MAX = 256 << 20
ROWS_MAX = 1 << 40
"""No dataset has so many rows: numbers beyond it are floats taken for integers."""


def parse(model: type[M], body: bytes) -> M:
    """Return a request's body as a model.

    Raises
    ------
    BadRequest
        If it is no JSON.
    InvalidFields
        If a field is missing or wrong; one list of sentences for each.
    """
    return check(model, parse_json(body))


def check(model: type[M], data: Any) -> M:
    """Return parsed JSON, or query arguments, as a model. Raises InvalidFields."""
    if not isinstance(data, Mapping):
        kind = {list: "list", str: "str", type(None): "null"}.get(type(data), type(data).__name__)
        text = f"Invalid data. Expected a dictionary, but got {kind}."
        raise InvalidFields({"non_field_errors": [text]})
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for found in error.errors():
            name = str(found["loc"][0]) if found["loc"] else "non_field_errors"
            sentence = _sentence(found)
            if sentence not in fields.setdefault(name, []):
                fields[name].append(sentence)
        raise InvalidFields(fields) from error


def parse_json(body: bytes) -> Any:
    """Return parsed JSON, strictly: no NaN, no doubled key, no half character.

    No body at all is an empty object, as in datarun 0.4.

    Raises
    ------
    BadRequest
        With the parser's reason.
    """
    if not body:
        return {}
    try:
        text = body.decode("utf-8")
        data = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = str(error) if not isinstance(error, RecursionError) else "nested too deeply"
        msg = f"JSON parse error - {reason}"
        raise BadRequest(msg) from error
    return data


def _no_constant(name: str) -> None:
    msg = f"{name} is not allowed"
    raise ValueError(msg)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        seen: set[str] = set()
        for doubled, _ in pairs:
            if doubled in seen:
                break
            seen.add(doubled)
        msg = f"the key {doubled[:50]!r} stands twice"
        raise ValueError(msg)
    return data


def _sentence(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if error["input"] is None and kind != "missing":
        return "This field may not be null."
    if kind == "string_too_short":
        return "This field may not be blank."
    if kind == "string_too_long":
        return f"Ensure this field has no more than {context['max_length']} characters."
    if kind == "value_error":
        return str(context["error"])
    if kind.startswith("int_"):
        return "A valid integer is required."
    if kind.startswith("float_"):
        return "A valid number is required."
    return {
        "missing": "This field is required.",
        "string_type": "Not a valid string.",
        "dict_type": "Expected an object of file names and contents, or of names and values.",
        "list_type": "Expected a list.",
    }.get(kind, f"{error['msg']}.")


def unpack_files(files: Mapping[str, str] | None, *, limit: int) -> dict[str, bytes]:
    """Return the contents of files that came as base64(zlib(bytes)).

    Raises
    ------
    InvalidField
        If one is not what it should be.
    TooLarge
        If they would have more than `limit` bytes together.
    """
    contents: dict[str, bytes] = {}
    left = min(limit, JSON_FILES_MAX)
    for name, text in (files or {}).items():
        most = min(left, max(UNSUSPICIOUS, RATIO_MAX * len(text)))
        try:
            contents[name] = unpack(text, limit=most)
        except CodecTooLarge as error:
            msg = (
                f"{name!r} is too large when decompressed: with what came before it would be more "
                f"than {most} bytes. Send large files with runapp/upload/ instead."
            )
            raise TooLarge(msg) from error
        except CodecError as error:
            raise InvalidField("files", f"{name!r}: {error}") from error
        left -= len(contents[name])
    return contents


def unpack_fold(train_is: str, test_is: str) -> Indices:
    """Return checked indices.

    A row may stand twice, or in both: a bootstrap draws it so, and clients of datarun 0.4 validate
    on rows that they train on. Only what cannot be meant is refused.

    Raises
    ------
    InvalidField
        If they are no int64, negative, or if there is none to train on.
    """
    train, test = _indices("train_is", train_is), _indices("test_is", test_is)
    if train.size == 0:
        raise InvalidField("train_is", "A fold needs at least one row to train on.")
    highest = max(int(part.max()) for part in (train, test) if part.size)
    return Indices(train_is=train_is, test_is=test_is, highest=highest)


def _indices(name: str, text: str) -> npt.NDArray[np.int64]:
    try:
        indices = unpack_indices(text, limit=INDICES_MAX)
    except CodecError as error:
        raise InvalidField(name, str(error)) from error
    if indices.size and indices.min() < 0:
        raise InvalidField(name, f"Index {indices.min()} is negative.")
    if indices.size and indices.max() >= ROWS_MAX:
        raise InvalidField(
            name, f"Index {indices.max()} is out of range: send int64, not float64 or bool."
        )
    return indices
