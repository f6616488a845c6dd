"""Holds every answer of the server against the OpenAPI file that promises it.

An answer must have a status, a type and a form that its operation describes, and no field that is
described nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from tornado.httpclient import HTTPResponse

from datarun_ext.schemas.page import load_spec

SPEC = "urn:datarun"
ONE_OF = ("allOf", "anyOf", "oneOf")
PARAMETER = re.compile(r"\{\w+\}")
NOT_ALLOWED = f"{SPEC}#/components/schemas/Detail"
"""Where a path has no such verb."""


def check(method: str, path: str, response: HTTPResponse) -> None:
    """Raise AssertionError if an answer is not as its operation says."""
    template = template_of(urlsplit(path).path)
    if template is None or method in ("OPTIONS", "HEAD"):
        return
    operation = _spec()["paths"][template].get(method.lower())
    where = f"{method} {path} -> {response.code}: {response.body[:300]!r}"
    if operation is None:
        assert response.code in (403, 404, 405), where
        _check_form(NOT_ALLOWED, response, where)
        return
    described = operation["responses"].get(str(response.code))
    assert described is not None, f"The OpenAPI file has no such status for {where}"
    pointer = f"{SPEC}#/paths/{_escape(template)}/{method.lower()}/responses/{response.code}"
    if "$ref" in described:
        pointer = SPEC + described["$ref"]
        described = _spec()["components"]["responses"][pointer.rpartition("/")[2]]
    content: Mapping[str, Any] = described.get("content", {})
    if not content:
        assert not response.body, where
        return
    kind = response.headers["Content-Type"].partition(";")[0]
    assert kind in content, f"{kind} instead of {list(content)}: {where}"
    if kind == "application/json":
        _check_form(f"{pointer}/content/{_escape(kind)}/schema", response, where)


def template_of(path: str) -> str | None:
    """Return the path of the OpenAPI file that a request's path belongs to."""
    path = f"/{path.lstrip('/')}"
    templates = _spec()["paths"]
    if path in templates:
        return path
    for template in templates:
        if re.fullmatch(PARAMETER.sub("[^/]+", template), path):
            return str(template)
    return None


def _check_form(pointer: str, response: HTTPResponse, where: str) -> None:
    errors = [
        f"{error.json_path}: {error.message[:300]}"
        for error in _validator(pointer).iter_errors(json.loads(response.body))
    ]
    assert not errors, f"{where}\n" + "\n".join(errors)


@cache
def _spec() -> dict[str, Any]:
    return load_spec()  # to parse it takes a second


@cache
def _validator(pointer: str) -> Draft202012Validator:
    """Return what checks a value against a schema of the file, each made once."""
    schema = {"$ref": pointer, "unevaluatedProperties": False}
    return Draft202012Validator(schema, registry=_registry())


@cache
def _registry() -> Registry[Any]:
    resource = Resource(contents=_closed(_spec()), specification=DRAFT202012)
    return Registry().with_resource(SPEC, resource)


def _closed(node: Any, *, whole: bool = False) -> Any:
    """Forbid the fields that nobody described, wherever a schema stands for a whole value."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: {name: _closed(item, whole=True) for name, item in value.items()}
        if key == "properties"
        else _closed(value, whole=key in ("items", "additionalProperties"))
        for key, value in node.items()
    }
    if whole and made.keys() & {"$ref", "properties", *ONE_OF}:
        made["unevaluatedProperties"] = False
    return made


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
