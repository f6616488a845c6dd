"""The route table and its description say the same."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

import datarun_ext.schemas
from datarun_ext.routes import FILES, PUBLIC
from tests.conftest import Api
from tests.handlers import contract

SPEC = yaml.safe_load(Path(datarun_ext.schemas.__file__).with_name("openapi.yaml").read_text())
VERBS = ("get", "post", "put", "delete", "patch")
PAGES = {"/docs/", "/admin/"}


def described() -> dict[str, set[str]]:
    return {
        re.sub(r"\{[^}]+\}", "{}", path): {verb for verb in item if verb in VERBS}
        for path, item in SPEC["paths"].items()
    }


def served() -> dict[str, set[str]]:
    found = {}
    for pattern, handler in PUBLIC + FILES:
        path = "/" + re.sub(r"\([^)]*\)", "{}", pattern)
        found[path] = {verb for verb in VERBS if "datarun_ext" in getattr(handler, verb).__module__}
    return found


def test_every_route_is_described_and_no_other() -> None:
    ours, theirs = served(), described()
    assert {path: ours[path] for path in ours.keys() - PAGES} == {
        path: theirs[path] for path in theirs.keys() - PAGES
    }


async def test_docs_and_specification(api: Api) -> None:
    page = await api.fetch("GET", "docs/")
    assert page.code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"submissionfold" in page.body
    text = await api.fetch("GET", "runapp/openapi.yaml")
    assert text.code == 200
    assert yaml.safe_load(text.body) == SPEC


async def test_health_and_me(api: Api) -> None:
    status, health = await api("GET", "runapp/health/")
    assert status == 200
    assert set(health) == {
        "status", "problems", "broker", "runners", "slots", "busy", "queued", "protocol", "version",
        "limits",
    }  # fmt: skip
    assert await api("GET", "runapp/user/me/") == (200, {"name": "jupyter", "is_superuser": True})
    assert await api("GET", "runapp/runner/") == (200, [])


@pytest.mark.parametrize(
    ("request_line", "code", "body"),
    [
        ("GET runapp/user/me/", 200, {"name": "ada"}),
        ("GET runapp/user/me/", 200, {"name": "ada", "is_superuser": False, "email": "a@b"}),
        ("GET runapp/user/me/", 200, {"name": 7, "is_superuser": False}),
        ("GET runapp/user/me/", 201, {"name": "ada", "is_superuser": False}),
        ("GET runapp/user/me/", 403, {"error": "no"}),
        ("PUT runapp/user/me/", 200, {"detail": "done"}),
        ("PUT runapp/user/me/", 405, {"error": "no"}),
        ("GET runapp/task/1/", 404, {"detail": "Not found.", "more": 1}),
        ("GET runapp/rawdata/1/", 500, {"detail": "an error of its own"}),
        ("POST runapp/submission/1/priority/", 200, {"moved": 1, "of": 2}),
        ("DELETE runapp/rawdata/1/", 204, {"detail": "gone"}),
        ("GET runapp/health/", 200, {"status": "ok"}),
    ],
)
def test_what_is_not_described_is_seen(request_line: str, code: int, body: Any) -> None:
    method, path = request_line.split()
    headers = HTTPHeaders({"Content-Type": "application/json"})
    request = HTTPRequest(f"http://here/{path}", method=method)
    data = BytesIO(json.dumps(body).encode())
    with pytest.raises(AssertionError):
        contract.check(method, path, HTTPResponse(request, code, headers, data))
