"""A fold that failed, as an exception in the notebook."""

from __future__ import annotations

import builtins
import re
import sys
from typing import Any

from datarun_ext.client import ClientError, FoldLog

_KIND = re.compile(r"^(?:([\w.]+)\.)?(\w+)(?::|$)")


class FoldFailed(ClientError):
    """A fold ended in ERROR.

    Where the submission's own exception is known here (a ``ValueError``), this is one too, so that
    ``except ValueError`` catches it.

    Attributes
    ----------
    fold : int
        Its id.
    reason : str
        A member of `datarun_ext.protocol.Reason`.
    detail : str
        The cause in one sentence.
    traceback : str
        The submission's own frames.
    """

    def __init__(self, log: FoldLog) -> None:
        self.fold = log.id
        self.reason = log.reason or ""
        self.detail = log.detail
        self.traceback = log.traceback
        where = ""
        if log.user_line is not None:
            line = log.user_line
            where = f"\n{line.file}, line {line.line}: {line.text}"
        trace = f"\n\n{log.traceback.rstrip()}" if log.traceback else ""
        super().__init__(f"Fold {log.id} failed ({self.reason}): {log.detail}{where}{trace}")


def fold_failed(log: FoldLog) -> FoldFailed:
    """Return the exception that fits a failed fold's log."""
    for line in reversed(log.traceback.splitlines()):
        kind = _kind(line)
        if kind is not None:
            try:
                both: Any = type("FoldFailed", (FoldFailed, kind), {"__module__": __name__})
                return both(log)  # type: ignore[no-any-return]
            except TypeError:
                # An exception whose memory layout, or whose arguments, do not go with another's.
                break
    return FoldFailed(log)


def _kind(line: str) -> type[Exception] | None:
    """Return the exception that a traceback's line names; nothing is imported for it."""
    found = _KIND.match(line)
    if found is None:
        return None
    module: Any = sys.modules.get(found.group(1)) if found.group(1) else builtins
    kind = getattr(module, found.group(2), None)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None
