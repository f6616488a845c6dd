"""How things look as text and as HTML; whatever comes from a person or a submission is escaped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from datarun_ext.client import Fold, FoldLog, Stage, State
from datarun_ext.client.data import Submission
from datarun_ext.protocol import Reason

STOPPED = "■"
ICONS = {
    Stage.WAITING: "…",
    Stage.QUEUED: "…",
    Stage.DISPATCHED: "…",
    Stage.RUNNING: "▶",
    Stage.TRAINED: "▶",
    Stage.VALIDATED: "▶",
    Stage.TESTED: "✓",
    Stage.ERROR: "✗",
}
WORDS = {
    Stage.WAITING: "waits for the split",
    Stage.QUEUED: "queued",
    Stage.DISPATCHED: "queued",
    Stage.RUNNING: "training",
    Stage.TRAINED: "validating",
    Stage.VALIDATED: "testing",
    Stage.TESTED: "tested",
    Stage.ERROR: "error",
}
COLOURS = {
    "…": "var(--jp-ui-font-color2, #777)",
    "▶": "var(--jp-info-color1, #1976d2)",
    "✓": "var(--jp-success-color1, #2e7d32)",
    "✗": "var(--jp-error-color1, #c62828)",
    STOPPED: "var(--jp-ui-font-color2, #777)",
}


TABLE = "border-collapse:collapse;line-height:1.5;margin:0"
CELL = "vertical-align:top;padding:2px 16px 2px 0;white-space:nowrap"
TEXT = f"{CELL};text-align:left"
NUMBER = f"{CELL};text-align:right;font-variant-numeric:tabular-nums"
ERROR = "vertical-align:top;padding:2px 0;text-align:left"


def stage_of(fold: Fold) -> Stage:
    """Return where a fold is."""
    if fold.stage is not None:
        return fold.stage
    return Stage.QUEUED if fold.state is State.TODO else Stage(fold.state)


def sign_of(fold: Fold) -> tuple[str, str]:
    """Return icon and word for a fold's state."""
    if fold.reason == Reason.CANCELLED:
        return STOPPED, "cancelled"
    stage = stage_of(fold)
    return ICONS[stage], WORDS[stage]


def number(value: float | None) -> str:
    """Return a score for reading; those of a column have as many digits."""
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"


def seconds(value: float | None) -> str:
    """Return a duration for reading."""
    if value is None:
        return ""
    if value < 0.05:
        return "< 0.1 s"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return (
        f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    )


def counts(folds: Iterable[Fold]) -> dict[str, int]:
    """Return how many folds wait, run, are tested, failed and were cancelled."""
    found = Counter(sign_of(fold)[0] for fold in folds)
    names = {"…": "waiting", "▶": "running", "✓": "tested", "✗": "failed", STOPPED: "cancelled"}
    return {name: found[icon] for icon, name in names.items()}


def counts_text(folds: Iterable[Fold]) -> str:
    """Return the same in words."""
    return ", ".join(f"{n} {name}" for name, n in counts(folds).items() if n) or "no folds"


def eta(folds: Sequence[Fold], now: float | None = None) -> float | None:
    """Return in how many seconds all folds will probably have ended."""
    ended = [f for f in folds if f.state.final and f.ended_at and f.started_at]
    left = sum(not f.state.final for f in folds)
    if not ended or not left:
        return None
    begun = min(f.started_at or 0.0 for f in ended)
    passed = (time.time() if now is None else now) - begun
    return max(passed, 0.0) / len(ended) * left


def score_names(folds: Iterable[Fold]) -> list[str]:
    """Return the names of all scores, in the order in which they come."""
    return list(dict.fromkeys(name for fold in folds for name in fold.scores))


def means(folds: Sequence[Fold]) -> dict[str, float]:
    """Return the mean of each score over the folds that have it."""
    found: dict[str, float] = {}
    for name in score_names(folds):
        values = [v for f in folds if (v := f.scores.get(name)) is not None]
        if values:
            found[name] = sum(values) / len(values)
    return found


def fold_text(fold: Fold) -> str:
    """Return a fold as one line."""
    parts = [f"Fold {fold.id}", " ".join(sign_of(fold))]
    parts += [f"{name} {number(value)}" for name, value in fold.scores.items()]
    if fold.reason:
        parts.append(f"{fold.reason}: {fold.detail}")
    return "  ".join(parts)


def submission_text(data: Submission, folds: Sequence[Fold]) -> str:
    """Return a submission and its folds as text."""
    name = f" {data.name!r}" if data.name else ""
    lines = [f"Submission {data.id}{name}: {counts_text(folds)}"]
    lines += [f"  {fold_text(fold)}" for fold in folds]
    return "\n".join(lines)


def log_text(log: FoldLog) -> str:
    """Return a fold's log for reading: what it printed, then why it failed."""
    parts = [log.log.rstrip()]
    if log.reason:
        parts.append(log.log_messages.rstrip() or f"{log.reason}: {log.detail}")
    return "\n".join(part for part in parts if part)


def state_html(fold: Fold) -> str:
    """Return icon and word of a fold's state."""
    icon, word = sign_of(fold)
    return f'<span style="color:{COLOURS[icon]}">{icon} {word}</span>'


def error_html(fold: Fold) -> str:
    """Return why a fold failed and at which line of the submission."""
    if not fold.reason:
        return ""
    detail, line = fold.detail, fold.user_line
    if line is not None:
        # Its place is said below, with what stands there.
        detail = detail.removesuffix(f" ({line.file}, line {line.line})")
    text = f"<b>{escape(fold.reason)}</b> {escape(detail[:300])}"
    if line is not None:
        text += (
            f"<br><code>{escape(line.file)}:{line.line}</code> "
            f"<code>{escape(line.text.strip()[:200])}</code>"
        )
    return text


def folds_html(folds: Sequence[Fold]) -> str:
    """Return a table of folds."""
    names = score_names(folds)
    failed = any(fold.reason for fold in folds)
    heads = ["fold", "state", *names, "train", "memory"]
    rows = []
    for fold in folds:
        cells = [str(fold.id), state_html(fold)]
        cells += [number(fold.scores.get(name)) for name in names]
        cells.append(seconds(fold.train_time) if fold.train_time else "")
        cells.append(f"{fold.memory / 1000:.0f} MB" if fold.memory else "")
        row = "".join(
            f'<td style="{TEXT if heads[at] == "state" else NUMBER}">{cell}</td>'
            for at, cell in enumerate(cells)
        )
        error = f'<td style="{ERROR}">{error_html(fold)}</td>' if failed else ""
        rows.append(f"<tr>{row}{error}</tr>")
    head = "".join(
        f'<th scope="col" style="{TEXT if name == "state" else NUMBER};font-weight:600">'
        f"{escape(name)}</th>"
        for name in heads
    )
    if failed:
        head += f'<th scope="col" style="{TEXT};font-weight:600">error</th>'
    return (
        f'<table style="{TABLE}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def summary_html(data: Submission, folds: Sequence[Fold]) -> str:
    """Return the line above the table."""
    name = f" <b>{escape(data.name)}</b>" if data.name else ""
    parts = [escape(counts_text(folds))]
    left = eta(folds)
    if left is not None:
        parts.append(f"about {seconds(left)} left")
    parts += [f"{escape(n)} <b>{number(v)}</b>" for n, v in means(folds).items()]
    return f"Submission {data.id}{name}: {' · '.join(parts)}"


def submission_html(data: Submission, folds: Sequence[Fold]) -> str:
    """Return a submission and its folds as static HTML."""
    return f"<div>{summary_html(data, folds)}{folds_html(folds)}</div>"
