"""Writes the parts of the documentation that are made from the code: options, REST, commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from datarun_ext.cli import main
from datarun_ext.cli.options import as_markdown
from datarun_ext.config import option_docs
from datarun_ext.magics.arguments import commands, help_text
from datarun_ext.schemas.page import Field, Operation, load_spec, operations


def write(folder: Path) -> None:
    """Write all generated parts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "options.md": as_markdown(list(option_docs())),
        "rest.md": "\n".join(_rest(load_spec())),
        "cli.md": "\n".join(_commands(click.Context(main, info_name="datarun"))),
        "magics.md": "\n".join(_magics()),
    }
    for name, text in parts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _rest(spec: dict[str, Any]) -> Iterator[str]:
    yield spec["info"]["description"]
    for tag in spec["tags"]:
        yield f"## {tag['name'].capitalize()}\n\n{tag['description']}\n"
        for operation in operations(spec, tag["name"], "http://127.0.0.1:8888"):
            yield from _operation(operation)


def _operation(operation: Operation) -> Iterator[str]:
    yield f"### {operation.summary}\n"
    yield f"`{operation.verb} {operation.path}`\n"
    if operation.deprecated:
        yield "*An old address, kept for clients of datarun 0.4.*\n"
    yield operation.text + "\n"
    if operation.parameters:
        yield from _fields("Parameter", operation.parameters)
    if operation.body:
        yield from _fields("Body", operation.body)
    yield "| Answer | Meaning |\n|---|---|"
    for reply in operation.replies:
        yield f"| {reply.status} | {_cell(reply.text)} |"
    yield f"\n```console\n$ {operation.curl}\n```\n\n```python\n{operation.python}\n```\n"


def _fields(heading: str, fields: tuple[Field, ...]) -> Iterator[str]:
    yield f"| {heading} | Type | Meaning |\n|---|---|---|"
    for field in fields:
        kind = field.kind + (", required" if field.required else "")
        yield f"| `{field.name}` | {_cell(kind)} | {_cell(field.text)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            if member is not None:
                yield from _commands(click.Context(member, info_name=name, parent=context))


def _magics() -> Iterator[str]:
    for name in commands():
        yield f"### `{name}`\n\n```text\n{help_text(name).strip()}\n```\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
