"""What can go wrong between a client and its server; every message says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ClientError(Exception):
    """Base of all errors of the client."""


class NotConnected(ClientError):
    """No server was found, or the one that was named does not answer."""


class NotDatarun(NotConnected):
    """Something answers at the address, but not datarun."""


class DatarunHTTPError(ClientError):
    """The server refused a request.

    Attributes
    ----------
    status : int
        The HTTP status.
    detail : str
        The server's sentence, or all the fields' sentences in one.
    fields : dict of str to list of str
        What is wrong with which field of the request; empty when it is not about a field.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        fields: Mapping[str, Sequence[str]] | None = None,
        *,
        request: str = "",
    ) -> None:
        self.status = status
        self.detail = detail
        self.fields = {name: list(why) for name, why in (fields or {}).items()}
        self.request = request
        super().__init__(f"{request}: {detail} (HTTP {status})" if request else detail)


class Refused(DatarunHTTPError):
    """Wrong or missing credentials, or somebody else's thing."""


class NotFound(DatarunHTTPError):
    """There is no such thing on the server."""


class Conflict(DatarunHTTPError):
    """It cannot be done in the state that things are in."""


class Unavailable(DatarunHTTPError):
    """The server is there but cannot do it now; trying later may work."""


class PreflightFailed(DatarunHTTPError):
    """The submission failed on a few rows; the server has stored nothing of it.

    Attributes
    ----------
    reason : str
        As a fold's, e.g. ``USER_ERROR``.
    cause : str
        One sentence.
    file, line, text : str, int, str
        Where in the submission's own files; ``""``, 0 and ``""`` when it is no line of theirs.
    traceback, log : str
        What it raised, and what it printed.
    """

    def __init__(self, status: int, body: Mapping[str, object], *, request: str) -> None:
        where = body.get("user_line")
        where = where if isinstance(where, Mapping) else {}
        self.reason = str(body.get("reason") or "")
        self.cause = str(body.get("detail") or "")
        self.file, self.text = str(where.get("file", "")), str(where.get("text", ""))
        self.line = int(str(where.get("line", 0)))
        self.traceback, self.log = str(body.get("traceback") or ""), str(body.get("log") or "")
        sentences = body.get("preflight")
        why = [str(sentence) for sentence in sentences] if isinstance(sentences, list) else []
        detail = " ".join(why) or self.cause
        if self.text:
            detail += f"\n  {self.file}, line {self.line}: {self.text.strip()}\n "
        super().__init__(status, detail, {"preflight": why}, request=request)


class WaitTimeout(ClientError, TimeoutError):
    """What was waited for had not ended in time; it goes on all the same.

    Attributes
    ----------
    pending : dict of str to str
        What has not ended, and the state it was last seen in.
    """

    def __init__(self, timeout: float, pending: Mapping[str, str]) -> None:
        self.pending = dict(pending)
        shown = ", ".join(f"{name} ({state})" for name, state in list(self.pending.items())[:10])
        more = f" and {len(self.pending) - 10} more" if len(self.pending) > 10 else ""
        super().__init__(
            f"After {timeout:g} s these had not ended: {shown}{more}. They go on; wait again with "
            "a longer timeout, or cancel them."
        )


class Deleted(ClientError):
    """What was waited for was deleted meanwhile."""


_KINDS: dict[int, type[DatarunHTTPError]] = {
    401: Refused,
    403: Refused,
    404: NotFound,
    409: Conflict,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: Unavailable,
}


def http_error(status: int, body: object, *, request: str) -> DatarunHTTPError:
    """Make the error that fits an answer of the server."""
    detail = ""
    fields: dict[str, list[str]] = {}
    if isinstance(body, dict):
        if status == 400 and isinstance(body.get("preflight"), list) and "reason" in body:
            return PreflightFailed(status, body, request=request)
        for name, why in body.items():
            if isinstance(why, list):
                fields[str(name)] = [str(sentence) for sentence in why]
        for key in ("detail", "error", "message"):
            if isinstance(body.get(key), str):
                detail = body[key]
                break
    if not detail:
        detail = "; ".join(f"{name}: {' '.join(why)}" for name, why in fields.items())
    kind = _KINDS.get(status, DatarunHTTPError)
    return kind(status, detail or "The server gave no reason.", fields, request=request)
