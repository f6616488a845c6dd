"""A list that shows itself as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import pandas as pd


class Row(Protocol):
    """Something that can be a row of a table."""

    def row(self) -> dict[str, Any]:
        """Return column -> value; the first is the id."""
        ...


T = TypeVar("T", bound=Row)


class Listing(list[T]):
    """A list of datasets, submissions or folds; in a notebook, a table.

    Examples
    --------
    >>> [one.name for one in dr.datasets() if one.name == "iris"]
    ['iris']
    >>> dr.datasets().frame().columns.tolist()
    ['name', 'kind', 'target', 'workflow', 'split', 'train', 'test']
    """

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame, indexed by id."""
        import pandas as pd

        rows = [one.row() for one in self]
        frame = pd.DataFrame(rows)
        return frame.set_index(frame.columns[0]) if rows else frame

    def __repr__(self) -> str:
        return self.frame().to_string() if self else "(none)"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(escape=True)) if self else "<i>none</i>"
