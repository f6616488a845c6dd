"""A fold that failed, as an exception in the notebook."""

from __future__ import annotations

import builtins
import re
from typing import Any

from datarun_ext.client import ClientError, FoldLog

_KIND = re.compile(r"^(\w+)(?::|$)", re.MULTILINE)


class FoldFailed(ClientError):
    """A fold ended in ERROR.

    Where the submission's own exception is one of Python's (``ValueError``), this is one too, so
    that ``except ValueError`` catches it.

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
    last = log.traceback.rstrip().rpartition("\n")[2] or log.detail
    found = _KIND.match(last)
    kind: Any = getattr(builtins, found.group(1), None) if found else None
    plain = isinstance(kind, type) and issubclass(kind, Exception)
    if not plain or not log.traceback:
        return FoldFailed(log)
    try:
        both = type("FoldFailed", (FoldFailed, kind), {"__module__": __name__})
        return both(log)  # type: ignore[no-any-return]
    except TypeError:
        # A built-in whose memory layout, or whose arguments, do not go with another's.
        return FoldFailed(log)
