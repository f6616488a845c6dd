"""How an exception is told to the keeper: what it was, where, and the user's frames first."""

from __future__ import annotations

import json
import linecache
import os
import traceback
from types import TracebackType
from typing import Any

_TEXT = 4000
_TRACEBACK = 48_000
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def describe(error: BaseException, code: str | None) -> bytes:
    """Return an exception as JSON; never raises, whatever the exception's own methods do."""
    facts: dict[str, Any] = {
        "kinds": [kind.__name__ for kind in type(error).__mro__][:20],
        "text": _text(error),
        "errno": None,
        "package": None,
        "line": None,
        "traceback": "",
        "reason": None,
    }
    for fill in (_fill_kind, _fill_line, _fill_traceback):
        try:
            fill(facts, error, code)
        except BaseException:  # noqa: S112
            continue
    return json.dumps(facts).encode()


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_TEXT]
    except BaseException:
        return ""


def _fill_kind(facts: dict[str, Any], error: BaseException, code: str | None) -> None:
    if isinstance(error, OSError):
        facts["errno"] = error.errno
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = str(error.name).split(".")[0]
        if code is None or not _has_module(code, top):
            facts["package"] = top[:100]
    from celery_app.execution import RunFault

    if isinstance(error, RunFault):
        facts["reason"] = str(error.reason)
        facts["text"] = str(error.detail)[:_TEXT]


def _has_module(code: str, name: str) -> bool:
    own = os.path.basename(code)
    return name == own or any(os.path.exists(f"{code}/{name}{end}") for end in ("", ".py"))


def _fill_line(facts: dict[str, Any], error: BaseException, code: str | None) -> None:
    if code is None:
        return
    where: tuple[str, int] | None = None
    if isinstance(error, SyntaxError) and str(error.filename).startswith(code + "/"):
        where = str(error.filename), int(error.lineno or 0)
    else:
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename.startswith(code + "/"):
                where = frame.f_code.co_filename, number
    if where is not None:
        file, number = where
        facts["line"] = {
            "file": file[len(code) + 1 :][:200],
            "line": number,
            "text": linecache.getline(file, number).strip()[:200],
        }


def _fill_traceback(facts: dict[str, Any], error: BaseException, code: str | None) -> None:
    if facts["reason"] is not None:
        # A program's own verdict says all in its sentence.
        return
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen or len(seen) > 20:
            continue
        seen.add(id(current))
        current.__traceback__ = _trimmed(current.__traceback__, code)
        waiting += [current.__cause__, current.__context__]
    text = "".join(traceback.TracebackException.from_exception(error, limit=-100).format())
    if code is not None:
        text = text.replace(f'File "{code}/', 'File "')
    facts["traceback"] = text[-_TRACEBACK:]


def _trimmed(trace: TracebackType | None, code: str | None) -> TracebackType | None:
    """Drop the frames above the user's first one, or at least our own."""
    step = trace
    while code is not None and step is not None:
        if step.tb_frame.f_code.co_filename.startswith(code + "/"):
            return step
        step = step.tb_next
    step = trace
    while step is not None and step.tb_frame.f_code.co_filename.startswith(_OURS):
        step = step.tb_next
    return step
