"""What can go wrong, in the terms of the domain. Only handlers turn these into answers.

Every message names the thing, the reason and the remedy where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class DatarunError(Exception):
    """Base of all errors of ours; `status` is the HTTP status that fits."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Any]:
        """The JSON that a client receives, in the form of datarun 0.4."""
        return {"detail": self.message}


class InvalidFields(DatarunError):
    """A request's fields are missing or wrong; `fields` says which and why."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(why)}" for name, why in fields.items()))
        self.fields = {name: list(why) for name, why in fields.items()}

    def body(self) -> dict[str, Any]:
        """One list of sentences for each field."""
        return dict(self.fields)


class InvalidField(InvalidFields):
    """One field of a request is missing or wrong."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__({name: [why]})


class PreflightFailed(DatarunError):
    """A submission failed when it was tried on a few rows; `found` says how and where."""

    def __init__(self, message: str, found: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.found = dict(found)

    def body(self) -> dict[str, Any]:
        """The sentence as that of a field, and what the submission did."""
        return {"preflight": [self.message], **self.found}


class BadRequest(DatarunError):
    """The request as a whole cannot be read."""


class NotFound(DatarunError):
    """There is no such thing, or it is somebody else's."""

    status = 404

    def __init__(self, message: str = "Not found.") -> None:
        super().__init__(message)


class NotAuthenticated(DatarunError):
    """Nobody, or not who they say they are. datarun 0.4 answers 403, not 401."""

    status = 403

    def __init__(self, message: str = "Authentication credentials were not provided.") -> None:
        super().__init__(message)


class Forbidden(DatarunError):
    """Known, but not allowed."""

    status = 403


class NotAcceptable(DatarunError):
    """The seeds' answer to several files without a specific.py."""

    status = 406

    def body(self) -> dict[str, Any]:
        """Under the key that clients of datarun 0.4 look for."""
        return {"error": self.message}


class Conflict(DatarunError):
    """It cannot be done in the state that things are in."""

    status = 409


class Fenced(Conflict):
    """The work is no longer this runner's: it was sent again, cancelled, replaced or finished."""


class TooLarge(DatarunError):
    """More bytes than are allowed."""

    status = 413


class TooManyRequests(DatarunError):
    """Too many failed attempts; try later."""

    status = 429


class Unavailable(DatarunError):
    """A part of the platform is away; trying again later may work."""

    status = 503


class NoSpace(DatarunError):
    """The disk is full."""

    status = 507
