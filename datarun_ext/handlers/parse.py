"""From a request's bytes to a checked body; what is wrong is said in the words of datarun 0.4."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from datarun_ext.codecs import CodecError, CodecTooLarge, unpack, unpack_indices
from datarun_ext.errors import BadRequest, InvalidField, InvalidFields, TooLarge
from datarun_ext.services.submit import Indices

M = TypeVar("M", bound=BaseModel)


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

    Raises
    ------
    BadRequest
        With the parser's reason.
    """
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
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
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
    left = limit
    for name, text in (files or {}).items():
        try:
            contents[name] = unpack(text, limit=left)
        except CodecTooLarge as error:
            msg = f"{name!r} makes the files larger than {limit} bytes (option max_upload_mb)."
            raise TooLarge(msg) from error
        except CodecError as error:
            raise InvalidField("files", f"{name!r}: {error}") from error
        left -= len(contents[name])
    return contents


def unpack_fold(train_is: str, test_is: str) -> Indices:
    """Return checked indices. Raises InvalidField."""
    highest = -1
    for name, text in (("train_is", train_is), ("test_is", test_is)):
        try:
            indices = unpack_indices(text)
        except CodecError as error:
            raise InvalidField(name, str(error)) from error
        if indices.size == 0:
            if name == "train_is":
                raise InvalidField(name, "A fold needs at least one row to train on.")
            continue
        if indices.min() < 0:
            raise InvalidField(name, f"Index {indices.min()} is negative.")
        highest = max(highest, int(indices.max()))
    return Indices(train_is=train_is, test_is=test_is, highest=highest)
