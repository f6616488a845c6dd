"""The route table and its description say the same."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import datarun_ext.schemas
from datarun_ext.routes import FILES, PUBLIC
from tests.conftest import Api

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
