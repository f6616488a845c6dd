"""Charts as Vega-Lite, which JupyterLab draws itself; no plotting package is needed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from datarun_ext.client import Fold
from datarun_ext.notebook import look
from datarun_ext.notebook.leaderboard import SMALLER_IS_BETTER

if TYPE_CHECKING:
    import pandas as pd

MIME = "application/vnd.vegalite.v5+json"
GREY = "#7a7a7a"
"""Of axes and texts: as much contrast on white as on JupyterLab's dark background, 4.3 to 1."""
COLOURS = ["#1e88e5", "#fb8c00", "#43a047", "#ab47bc", "#00897b", "#e53935"]
"""Of scores; each can be seen on both."""
CONFIG = {
    "background": "transparent",
    "view": {"stroke": "transparent"},
    "axis": {
        "labelColor": GREY,
        "titleColor": GREY,
        "tickColor": GREY,
        "domainColor": GREY,
        "gridColor": f"{GREY}33",
    },
    "legend": {"labelColor": GREY, "titleColor": GREY},
    "title": {"color": GREY},
}
WIDTH = 480


class Chart:
    """A chart; where Vega-Lite is not drawn, a table of its numbers.

    Attributes
    ----------
    spec : dict
        The Vega-Lite specification, to be changed or saved.
    """

    def __init__(self, spec: dict[str, Any], columns: Sequence[str]) -> None:
        self.spec = {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "config": CONFIG,
            "width": WIDTH,
            **spec,
        }
        self._columns = list(columns)

    @property
    def values(self) -> list[dict[str, Any]]:
        """The numbers that it shows."""
        found: list[dict[str, Any]] = self.spec["data"]["values"]
        return found

    def to_json(self) -> str:
        """Return the specification as JSON, for any program that reads Vega-Lite."""
        return json.dumps(self.spec)

    def __repr__(self) -> str:
        rows = [[_text(row.get(name)) for name in self._columns] for row in self.values]
        lines = ["  ".join(row) for row in [self._columns, *rows]]
        return "\n".join([str(self.spec.get("title", "")), *lines])

    def to_html(self) -> str:
        """Return its numbers as a table."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self._columns)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{escape(_text(row.get(n)))}</td>" for n in self._columns)
            + "</tr>"
            for row in self.values
        )
        title = escape(str(self.spec.get("title", "")))
        return f"<table><caption>{title}</caption><tr>{head}</tr>{rows}</table>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # No HTML: JupyterLab would prefer it to the drawing.
        return {MIME: self.spec, "text/plain": repr(self)}


def scores_chart(folds: Sequence[Fold], title: str, score: str | None = None) -> Chart:
    """Return the scores of each fold."""
    names = look.score_names(folds)
    if score is not None and score not in names:
        msg = f"no fold has a score {score!r}; there are: {', '.join(names) or 'none yet'}"
        raise ValueError(msg)
    chosen = [score] if score is not None else names
    values = [
        {"fold": fold.id, "score": name, "value": fold.scores.get(name)}
        for fold in folds
        for name in chosen
        if fold.scores.get(name) is not None
    ]
    colour = {
        "field": "score",
        "type": "nominal",
        # The rows are named already.
        "legend": None,
        "scale": {"range": COLOURS},
    }
    x = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": False, "nice": False, "padding": 10},
        "title": "score of each fold; bar: their mean",
    }
    return Chart(
        {
            "title": title,
            "data": {"values": values},
            "layer": [
                {
                    "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
                    "encoding": {
                        "y": {"field": "score", "type": "nominal", "title": None},
                        "x": x,
                        "color": colour,
                        "tooltip": [{"field": "fold"}, {"field": "score"}, {"field": "value"}],
                    },
                },
                {
                    "mark": {"type": "tick", "thickness": 3, "size": 24},
                    "encoding": {
                        "y": {"field": "score", "type": "nominal"},
                        "x": {"field": "value", "type": "quantitative", "aggregate": "mean"},
                        "color": colour,
                    },
                },
            ],
        },
        ["fold", "score", "value"],
    )


def timeline_chart(folds: Sequence[Fold], title: str) -> Chart:
    """Return when each fold waited and ran, in seconds after the first was created."""
    begin = min((fold.created for fold in folds), default=0.0)
    values: list[dict[str, Any]] = []
    for fold in folds:
        about = {"fold": f"fold {fold.id}", "runner": fold.runner or ""}
        started = fold.started_at
        if started is not None:
            values.append(
                {**about, "what": "waits", "from": fold.created - begin, "to": started - begin}
            )
            what = "failed" if fold.reason else "runs"
            until = max(fold.ended_at or time.time(), started)
            values.append({**about, "what": what, "from": started - begin, "to": until - begin})
    return Chart(
        {
            "title": title,
            "data": {"values": values},
            "mark": {"type": "bar", "height": 12},
            "encoding": {
                "y": {"field": "fold", "type": "nominal", "title": None, "sort": None},
                "x": {"field": "from", "type": "quantitative", "title": "seconds"},
                "x2": {"field": "to"},
                "color": {
                    "field": "what",
                    "type": "nominal",
                    "title": None,
                    "scale": {
                        "domain": ["waits", "runs", "failed"],
                        "range": ["#9e9e9e", "#1e88e5", "#e53935"],
                    },
                },
                "tooltip": [{"field": name} for name in ("fold", "what", "runner", "from", "to")],
            },
        },
        ["fold", "what", "runner", "from", "to"],
    )


def leaderboard_chart(frame: pd.DataFrame, title: str) -> Chart:
    """Return the mean of the leaderboard's score for each submission, and its spread."""
    by: Any = frame.attrs.get("by")
    values: list[dict[str, Any]] = []
    for ident, row in frame.iterrows() if by else ():
        mean, spread = row[by], row[f"{by}_std"]
        if mean == mean and mean is not None:
            low, high = (mean - spread, mean + spread) if spread == spread else (mean, mean)
            label = f"{row['name']} ({ident})"
            values.append(
                {"submission": label, "mean": float(mean), "low": float(low), "high": float(high)}
            )
    near = {"zero": False, "nice": False, "padding": 10}
    better = "smaller is better" if str(by).endswith(SMALLER_IS_BETTER) else "larger is better"
    y = {"field": "submission", "type": "nominal", "title": None, "sort": None}
    axis = f"{by} ({better})" if by else "no scores yet"
    x = {"field": "mean", "type": "quantitative", "scale": near, "title": axis}
    return Chart(
        {
            "title": title,
            "data": {"values": values},
            "encoding": {"y": y},
            "layer": [
                {
                    "mark": {"type": "rule", "color": GREY},
                    "encoding": {
                        "x": {"field": "low", "type": "quantitative", "scale": near},
                        "x2": {"field": "high"},
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 90, "color": COLOURS[0]},
                    "encoding": {
                        "x": x,
                        "tooltip": [{"field": n} for n in ("submission", "mean", "low", "high")],
                    },
                },
            ],
        },
        ["submission", "mean", "low", "high"],
    )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
