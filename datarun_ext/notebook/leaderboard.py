"""Which submission is the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datarun_ext.client import Submission

if TYPE_CHECKING:
    import pandas as pd

ORDER = ("validation_accuracy", "validation_r2", "validation_rmse")
"""What a leaderboard is sorted by, the first that there is."""
SMALLER_IS_BETTER = ("rmse",)


def leaderboard(submissions: Sequence[Submission], by: str | None = None) -> pd.DataFrame:
    """Return submissions with mean and spread of each score, the best first.

    Raises
    ------
    ValueError
        If no submission has the score to sort by.
    """
    import pandas as pd

    names = list(dict.fromkeys(name for one in submissions for name in one.scores))
    by = by or next((name for name in ORDER if name in names), names[0] if names else None)
    if by is not None and by not in names:
        msg = f"no submission has a score {by!r}; there are: {', '.join(names) or 'none yet'}"
        raise ValueError(msg)
    rows = []
    for one in submissions:
        row: dict[str, object] = {
            "submission": one.id,
            "name": one.name or f"submission {one.id}",
            "tested": one.counts.get("TESTED", 0),
            "folds": one.n_folds,
        }
        for name in names:
            score = one.scores.get(name)
            row[name] = None if score is None else score.mean
            row[f"{name}_std"] = None if score is None else score.std
        rows.append(row)
    frame = pd.DataFrame(rows, columns=["submission", "name", "tested", "folds", *_pairs(names)])
    frame = frame.set_index("submission")
    if by is not None:
        rising = by.endswith(SMALLER_IS_BETTER)
        frame = frame.sort_values(by, ascending=rising, na_position="last")
    frame.attrs["by"] = by
    return frame


def _pairs(names: Sequence[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_std")]
