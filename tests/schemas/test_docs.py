"""The documentation's generated parts are complete, and its pages lead to one another."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from datarun_ext.cli import COMMANDS
from datarun_ext.config import option_docs
from datarun_ext.protocol import Reason
from datarun_ext.schemas.page import load_spec

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_is_generated(generate: ModuleType, tmp_path: Path) -> None:
    generate.write(tmp_path)
    options, rest, cli = (
        (tmp_path / name).read_text() for name in ("options.md", "rest.md", "cli.md")
    )
    for option in option_docs():
        assert f"`c.DatarunApp.{option.name}`" in options
    for path, item in load_spec()["paths"].items():
        for verb in {"get", "post", "put", "delete"} & item.keys():
            assert f"`{verb.upper()} {path}`" in rest
    for command in COMMANDS:
        assert f"`datarun {command}`" in cli


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text()):
        assert (page.parent / target).exists(), target
    if page.name != "index.md":
        name = str(page.relative_to(DOCS).with_suffix(""))
        assert re.search(rf"^{re.escape(name)}$", (DOCS / "index.md").read_text(), re.MULTILINE)


def test_every_reason_is_explained() -> None:
    text = (DOCS / "explanation" / "delivery.md").read_text()
    for reason in Reason:
        assert f"`{reason}`" in text


def test_the_classes_in_the_table_of_options_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"c\.DatarunApp\.(\w+)", page.read_text()):
            assert name in {option.name for option in option_docs()}, (page, name)
