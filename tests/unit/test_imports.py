"""The import rules of the design, read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ("datarun_ext.handlers", "datarun_ext.services", "datarun_ext.models", "datarun_ext.app",
          "datarun_ext.routes", "datarun_ext.config", "datarun_ext.options",
          "datarun_ext.environment", "datarun_ext.migrations")  # fmt: skip
WEB = ("tornado", "jupyter_server", "jupyter_client", "jupyter_core", "jupyterlab", "traitlets")
DATABASE = ("sqlalchemy", "alembic")

# Part of the source -> what it must not import, with what it may in spite of that.
RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "datarun_ext/models": (
        ("datarun_ext", *WEB),
        ("datarun_ext.models",),
    ),
    "datarun_ext/services": (
        ("datarun_ext.handlers", "datarun_ext.routes", "datarun_ext.app", "datarun_ext.cli",
         "datarun_ext.client", "datarun_ext.schemas", "celery_app", "tornado", "jupyter_server"),
        (),
    ),
    "datarun_ext/handlers": (
        ("datarun_ext.app", "datarun_ext.routes", "datarun_ext.cli", "datarun_ext.client",
         "celery_app", *DATABASE),
        (),
    ),
    "datarun_ext/schemas": (
        ("datarun_ext", "celery_app", *WEB, *DATABASE),
        ("datarun_ext.schemas",),
    ),
    "datarun_ext/errors.py": (("datarun_ext", "celery_app", *WEB, *DATABASE), ()),
    "datarun_ext/protocol.py": (("datarun_ext", "celery_app", *WEB, *DATABASE), ()),
    "datarun_ext/codecs.py": (("datarun_ext", "celery_app", *WEB, *DATABASE), ()),
    "datarun_ext/client": ((*SERVER, "celery_app", "tornado", "jupyter_server", *DATABASE), ()),
    "datarun_ext/post_api.py": ((*SERVER, "celery_app", "tornado", *DATABASE), ()),
    "datarun_ext/magics": ((*SERVER, "celery_app", "tornado", *DATABASE), ()),
    "datarun_ext/widget": ((*SERVER, "celery_app", "tornado", *DATABASE), ()),
    "celery_app": (
        ("datarun_ext", *WEB, *DATABASE),
        ("datarun_ext.protocol", "datarun_ext.codecs"),
    ),
}  # fmt: skip


def sources(part: str) -> list[Path]:
    path = ROOT / part
    if path.is_dir():
        return sorted(path.rglob("*.py"))
    alone = path if path.suffix else path.with_suffix(".py")
    return [alone] if alone.exists() else []


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that a file imports, wherever in it."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{module}.{name.name}" for name in node.names)


def below(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


@pytest.mark.parametrize("part", RULES)
def test_import_rules(part: str) -> None:
    forbidden, allowed = RULES[part]
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(part)
        for name in imports(path)
        if below(name, forbidden) and not below(name, allowed)
    ]
    assert broken == []


def test_the_rules_see_every_kind_of_import(tmp_path: Path) -> None:
    assert {"datarun_ext.models.RawData", "asyncio"} <= set(
        imports(ROOT / "datarun_ext/services/datasets.py")
    )
    assert all(sources(part) for part in RULES if "magics" not in part and "widget" not in part)
