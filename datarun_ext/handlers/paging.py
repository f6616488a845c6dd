"""Parts of long lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from jupyter_server.base.handlers import JupyterHandler
from pydantic import BaseModel, ConfigDict, Field

from datarun_ext.models import State
from datarun_ext.schemas.bodies import ID_MAX
from datarun_ext.services.standing import Standing

T = TypeVar("T")


class Page(BaseModel):
    """Which part of a list is wanted; without a limit, all of it."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None
    cursor: Annotated[int, Field(ge=0, le=ID_MAX)] | None = None
    order: Literal["id", "-id"] = "id"
    state: State | None = None
    raw_data: Annotated[int, Field(ge=0, le=ID_MAX)] | None = None
    submission: Annotated[int, Field(ge=0, le=ID_MAX)] | None = None
    text: Annotated[str, Field(max_length=200)] = ""
    owner: Annotated[str, Field(max_length=200)] | None = None
    standing: Standing | None = None

    @property
    def newest_first(self) -> bool:
        """Whether the list begins with the highest id."""
        return self.order == "-id"

    @property
    def asked(self) -> int | None:
        """How many to look up: one more than wanted tells whether there is another part."""
        return None if self.limit is None else self.limit + 1

    def part(
        self, handler: JupyterHandler, found: Sequence[T], id_of: Callable[[T], int]
    ) -> Sequence[T]:
        """Return what is wanted of `asked` things, and tell the client where the rest begins."""
        if self.limit is None or len(found) <= self.limit:
            return found
        part = found[: self.limit]
        handler.set_header("X-Next-Cursor", str(id_of(part[-1])))
        handler.set_header("Access-Control-Expose-Headers", "X-Next-Cursor")
        return part
