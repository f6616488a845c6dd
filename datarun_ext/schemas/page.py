"""The REST interface as a page that needs nothing from the internet: no script, no font, no image.

Every text of the specification is escaped; the only markup that is made from it is ``code``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

VERBS = ("get", "post", "put", "delete")
Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter, or a member of a body."""

    name: str
    where: str
    kind: str
    required: bool
    text: str

    @property
    def description(self) -> Markup:
        """The text as HTML."""
        return prose(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One possible answer."""

    status: str
    text: str
    kind: str
    fields: tuple[Field, ...]
    example: str

    @property
    def description(self) -> Markup:
        """The text as HTML."""
        return prose(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A verb on a path, ready to be shown."""

    ident: str
    verb: str
    path: str
    summary: str
    deprecated: bool
    text: str
    parameters: tuple[Field, ...]
    body_kind: str
    body: tuple[Field, ...]
    body_example: str
    replies: tuple[Reply, ...]
    curl: str
    python: str

    @property
    def description(self) -> Markup:
        """The text as HTML."""
        return prose(self.text)


def load_spec() -> dict[str, Any]:
    """Return the package's OpenAPI description."""
    text = files("datarun_ext.schemas").joinpath("openapi.yaml").read_text("utf-8")
    spec: dict[str, Any] = yaml.safe_load(text)
    return spec


def render_docs(base_url: str, spec: Spec) -> str:
    """Return the page.

    Parameters
    ----------
    base_url : str
        The server's base_url, e.g. ``/`` or ``/user/ada/``; the examples contain it.
    spec : mapping
        An OpenAPI 3.1 description.
    """
    base = "/" + base_url.strip("/")
    root = "http://127.0.0.1:8888" + ("" if base == "/" else base)
    page: str = _template().render(
        info=spec["info"],
        description=prose(spec["info"].get("description", "")),
        groups=[
            (tag["name"], prose(tag.get("description", "")), operations(spec, tag["name"], root))
            for tag in spec["tags"]
        ],
        schemes=[
            (name, prose(scheme.get("description", "")))
            for name, scheme in spec["components"]["securitySchemes"].items()
        ],
        root=root,
        base=base.rstrip("/") + "/",
        style=Markup(_style()),  # noqa: S704 (a file of the package)
    )
    return page


@cache
def content_security_policy() -> str:
    """Return the policy under which the page works: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    )


def prose(text: str) -> Markup:
    """Return text as paragraphs, with ``code`` between backticks."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        parts = paragraph.split("`")
        marked = [
            Markup("<code>{}</code>").format(part) if odd % 2 else escape(part)
            for odd, part in enumerate(parts)
        ]
        paragraphs.append(Markup("<p>{}</p>").format(Markup("").join(marked)))
    return Markup("\n").join(paragraphs) if text.strip() else Markup("")


def operations(spec: Spec, tag: str, root: str) -> list[Operation]:
    """Return the operations of a tag; `root` is the address in their examples."""
    return [
        _operation(spec, path, verb, item, root)
        for path, item in spec["paths"].items()
        for verb in VERBS
        if verb in item and tag in item[verb]["tags"]
    ]


def _operation(spec: Spec, path: str, verb: str, item: Spec, root: str) -> Operation:
    operation = item[verb]
    parameters = [
        _resolve(spec, one)
        for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
    ]
    body_kind, body = _content(_resolve(spec, operation.get("requestBody", {})))
    example = body.get("example")
    return Operation(
        ident=operation["operationId"],
        verb=verb.upper(),
        path=path,
        summary=operation["summary"],
        deprecated=operation.get("deprecated", False),
        text=operation.get("description", ""),
        parameters=tuple(
            Field(
                name=one["name"],
                where=one["in"],
                kind=_kind(spec, one["schema"]),
                required=one.get("required", False),
                text=one.get("description", ""),
            )
            for one in parameters
        ),
        body_kind=body_kind,
        body=tuple(_fields(spec, body.get("schema", {}))),
        body_example=_pretty(example),
        replies=tuple(
            _reply(spec, status, _resolve(spec, reply))
            for status, reply in operation["responses"].items()
        ),
        curl=_curl(verb, path, root, body_kind, example),
        python=_python(verb, path, root, body_kind, example),
    )


def _reply(spec: Spec, status: str, reply: Spec) -> Reply:
    kind, content = _content(reply)
    return Reply(
        status=str(status),
        text=reply["description"],
        kind=kind,
        fields=tuple(_fields(spec, content.get("schema", {}))) if str(status) < "300" else (),
        example=_pretty(content.get("example")),
    )


def _content(holder: Spec) -> tuple[str, Spec]:
    return next(iter(holder.get("content", {}).items()), ("", {}))


def _resolve(spec: Spec, node: Spec) -> Spec:
    while "$ref" in node:
        target: Any = spec
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _fields(spec: Spec, schema: Spec) -> Iterator[Field]:
    """Yield the members of an object, or of the objects in a list."""
    schema = _resolve(spec, schema)
    if schema.get("type") == "array":
        yield from _fields(spec, schema["items"])
    seen: set[str] = set()
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        for field in _fields(spec, part):
            if field.name not in seen:
                seen.add(field.name)
                yield field
    for name, member in schema.get("properties", {}).items():
        inner = _resolve(spec, member)
        yield Field(
            name=name,
            where="",
            kind=_kind(spec, member),
            required=name in schema.get("required", ()),
            text=member.get("description", inner.get("description", "")),
        )


def _kind(spec: Spec, schema: Spec) -> str:
    """Return a schema's type in a few words."""
    inner = _resolve(spec, schema)
    if "enum" in inner:
        return " | ".join("null" if value is None else str(value) for value in inner["enum"])
    kinds = inner.get("type", "object")
    words = [kinds] if isinstance(kinds, str) else list(kinds)
    if "array" in words and "items" in inner:
        words[words.index("array")] = f"list of {_kind(spec, inner['items'])}"
    text = " | ".join(words)
    if inner.get("contentEncoding"):
        text += f" ({inner['contentEncoding']})"
    if "default" in inner:
        text += f", default {inner['default']}"
    return text


def _pretty(example: Any) -> str:
    return "" if example is None else json.dumps(example, indent=2, ensure_ascii=False)


def _curl(verb: str, path: str, root: str, kind: str, example: Any) -> str:
    words = ["curl", "-u", "username:password"]
    if verb != "get":
        words += ["-X", verb.upper()]
    if "octet-stream" in kind:
        words += ["--data-binary", "@part"]
    elif example is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(example)]
    return shlex.join([*words, root + _filled(path)])


def _python(verb: str, path: str, root: str, kind: str, example: Any) -> str:
    lines = [f"requests.{verb}(", f"    {root + _filled(path)!r},"]
    lines.append("    auth=('username', 'password'),")
    if "octet-stream" in kind:
        lines.append("    data=part,")
    elif example is not None:
        lines.append(f"    json={example!r},")
    return "\n".join([*lines, ")"])


def _filled(path: str) -> str:
    """Return a path with examples in place of its parameters."""
    values = {"id": "11", "name": "classifier.py", "upload": "3f2a", "task": "0b3f6c1e"}
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


@cache
def _style() -> str:
    return files("datarun_ext.schemas").joinpath("docs.css").read_text("utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("datarun_ext.schemas").joinpath("docs.html.j2").read_text("utf-8")
    return environment.from_string(text)
