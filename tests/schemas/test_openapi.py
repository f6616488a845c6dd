"""The description of the REST interface against itself, against the routes, and as a page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_spec_validator import validate

from datarun_ext.protocol import Reason
from datarun_ext.routes import FILES, PUBLIC
from datarun_ext.schemas.page import content_security_policy, load_spec, prose, render_docs

VERBS = {"get", "post", "put", "delete"}
HTML = {"docs/", "admin/"}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return load_spec()


def test_it_is_valid_openapi(spec: dict[str, Any]) -> None:
    validate(spec)


def pattern_of(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path.lstrip("/"))


def test_paths_are_the_routes(spec: dict[str, Any]) -> None:
    routes = {re.sub(r"\((?:\\.|\[[^\]]*\]|[^()])*\)", "{}", route) for route, _ in PUBLIC + FILES}
    assert {pattern_of(path) for path in spec["paths"]} == routes - HTML


def test_verbs_are_those_of_the_handlers(spec: dict[str, Any]) -> None:
    handlers = {
        re.sub(r"\((?:\\.|\[[^\]]*\]|[^()])*\)", "{}", route): handler
        for route, handler in PUBLIC + FILES
    }
    for path, item in spec["paths"].items():
        handler = handlers[pattern_of(path)]
        served = {
            verb
            for verb in VERBS
            if any(
                verb in vars(base)
                for base in handler.__mro__
                if base.__module__.startswith("datarun_ext")
            )
        }
        assert {verb for verb in item if verb in VERBS} == served, path


def test_every_reference_leads_somewhere(spec: dict[str, Any]) -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: Any = spec
                for key in node["$ref"].removeprefix("#/").split("/"):
                    target = target[key]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(spec)


def test_reasons_are_the_protocols(spec: dict[str, Any]) -> None:
    documented = {one for one in spec["components"]["schemas"]["Reason"]["enum"] if one}
    assert documented == set(Reason)


def test_everything_described_says_what_it_answers_to_strangers(spec: dict[str, Any]) -> None:
    for path, item in spec["paths"].items():
        for verb in VERBS & item.keys():
            assert "403" in item[verb]["responses"], (verb, path)
            assert item[verb]["summary"], (verb, path)


class Page(HTMLParser):
    """Collects what a page would load, where it leads, and whether its elements are closed."""

    VOID = frozenset({"meta", "link", "br", "input", "img", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in known:
            self.ids.append(known["id"])
        if tag == "a":
            self.links.append(known["href"])
        if tag in ("script", "img", "iframe", "link") or "src" in known or "style" in known:
            self.loads.append(tag)
        assert not any(name.startswith("on") for name in known)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_elsewhere(spec: dict[str, Any]) -> None:
    text = render_docs("/user/a%40b/", spec)
    page = Page(text)
    assert page.open == []
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert link == "/user/a%40b/runapp/openapi.yaml"
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_shows_every_operation_with_an_example(spec: dict[str, Any]) -> None:
    text = render_docs("/", spec)
    for item in spec["paths"].values():
        for verb in VERBS & item.keys():
            assert f'id="{item[verb]["operationId"]}"' in text
    count = sum(len(VERBS & item.keys()) for item in spec["paths"].values())
    assert text.count("curl -u username:password") == count
    assert text.count("requests.") >= count


def test_the_policy_allows_the_pages_style_and_no_other(spec: dict[str, Any]) -> None:
    text = render_docs("/", spec)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in content_security_policy()


def test_what_a_description_says_stays_text(spec: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script> `<b>` \" ' {{ 7*7 }}"
    hostile = {**spec, "info": {**spec["info"], "title": evil, "description": evil}}
    text = render_docs('/"><script>/', hostile)
    assert "<script>" not in text
    assert "<code>&lt;b&gt;</code>" in text
    assert "{{ 7*7 }}" in text


def test_prose_makes_paragraphs_and_code() -> None:
    assert prose("one `a<b`\n\ntwo") == "<p>one <code>a&lt;b</code></p>\n<p>two</p>"
    assert prose("  ") == ""
