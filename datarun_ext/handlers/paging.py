"""Parts of long lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from jupyter_server.base.handlers import JupyterHandler
from pydantic import BaseModel, ConfigDict, Field

from datarun_ext.models import State


class Page(BaseModel):
    """Which part of a list is wanted; without a limit, all of it."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None
    cursor: int | None = None
    order: Literal["id", "-id"] = "id"
    state: State | None = None
    raw_data: int | None = None
    submission: int | None = None

    @property
    def newest_first(self) -> bool:
        """Whether the list begins with the highest id."""
        return self.order == "-id"

    def mark_next(self, handler: JupyterHandler, ids: Sequence[int]) -> None:
        """Tell the client where the next part begins, if there may be one."""
        if self.limit is not None and len(ids) == self.limit:
            handler.set_header("X-Next-Cursor", str(ids[-1]))
            handler.set_header("Access-Control-Expose-Headers", "X-Next-Cursor")
