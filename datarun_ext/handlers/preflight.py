"""The trial before a submission is taken in, for requests with ``?preflight=1``."""

from __future__ import annotations

from pydantic import BaseModel

from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.services.new import NewSubmission


class Wanted(BaseModel):
    """Whether the submission is to be tried first."""

    preflight: bool = False


async def try_out(handler: DatarunHandler, new: NewSubmission) -> None:
    """Have the submission tried if the request asks for it; raises what keeps it from being."""
    if handler.query(Wanted).preflight:
        await handler.master.preflights.check(who=handler.principal, new=new)
