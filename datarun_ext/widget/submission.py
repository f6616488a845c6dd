"""A submission, live: states, progress, scores, and buttons to cancel, run again and read logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from datarun_ext.client import ClientError, Fold
from datarun_ext.notebook import look

if TYPE_CHECKING:
    from datarun_ext.notebook.objects.submission import Submission

LOG_SHOWN = 20_000
"""Characters of a log that are shown, its end."""
LOG_STYLE = (
    "max-height:20em;overflow:auto;white-space:pre-wrap;margin:4px 0;padding:4px 8px;"
    "line-height:1.4;"
    "background:var(--jp-layout-color2,#f5f5f5);color:var(--jp-content-font-color1,#222)"
)


class SubmissionView(widgets.VBox):  # type: ignore[misc]
    """Shows a submission until all its folds have ended; then its buttons still work.

    Parameters
    ----------
    submission : Submission
    """

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._shown: Sequence[Fold] = ()
        self._summary = widgets.HTML()
        self._bar = widgets.IntProgress(min=0, max=1, layout={"width": "100%", "height": "14px"})
        self._table = widgets.HTML()
        self._note = widgets.HTML()
        self._log = widgets.HTML()
        self._cancel = self._button("Cancel", "stop", "Stop all folds that have not ended", cancel)
        self._rerun = self._button(
            "Re-run failed", "refresh", "Train the failed folds again", rerun
        )
        self._which = widgets.Dropdown(options=[], layout={"width": "12em"})
        self._show_log = self._button("Log", "file", "What this fold printed", show_log)
        buttons = widgets.HBox([self._cancel, self._rerun, self._which, self._show_log])
        super().__init__([self._summary, self._bar, self._table, buttons, self._note, self._log])
        try:
            self.show(submission._folds())
        except ClientError as error:
            self.lost(str(error))
            return
        self.watch()

    def _button(
        self, text: str, icon: str, hint: str, act: Callable[[SubmissionView], None]
    ) -> Any:
        button = widgets.Button(description=text, icon=icon, tooltip=hint, layout={"width": "auto"})
        button.on_click(lambda _: self._do(act))
        return button

    def _do(self, act: Callable[[SubmissionView], None]) -> None:
        """Do what a button says; what goes wrong is shown, never raised into the void."""
        try:
            act(self)
        except ClientError as error:
            self.say(str(error))

    def watch(self) -> None:
        """Be told what happens from now on, until all folds have ended."""
        if not self._shown or not all(fold.state.final for fold in self._shown):
            self._submission.session.watcher.watch(self._submission.id, self)

    def say(self, text: str) -> None:
        """Show a sentence below the buttons."""
        self._note.value = f"<i>{escape(text)}</i>" if text else ""

    def show(self, folds: Sequence[Fold]) -> None:
        """Show the folds as they are now."""
        self._shown = folds
        ended = sum(fold.state.final for fold in folds)
        failed = sum(fold.reason is not None for fold in folds)
        self._summary.value = look.summary_html(self._submission.data, folds)
        self._bar.max = max(len(folds), 1)
        self._bar.value = ended
        done = bool(folds) and ended == len(folds)
        self._bar.bar_style = "danger" if failed and done else "success" if done else "info"
        self._table.value = look.folds_html(folds)
        if done:
            self.say("")
        self._cancel.disabled = done
        self._rerun.disabled = not failed
        options = [(f"fold {fold.id}", fold.id) for fold in folds]
        if list(self._which.options) != options:
            chosen = self._which.value
            self._which.options = options
            known = [ident for _, ident in options]
            self._which.value = chosen if chosen in known else next(iter(known), None)

    def lost(self, why: str) -> None:
        """Show that there will be no more updates."""
        self.say(f"No more updates: {why} Run dr.submission({self._submission.id}) to go on.")

    def connected(self, yes: bool) -> None:
        """Show whether the server can be heard."""
        self.say("" if yes else "The server cannot be reached; trying again …")

    def show_log(self, text: str) -> None:
        """Show a log, its end."""
        text = text if len(text) <= LOG_SHOWN else "[…]\n" + text[-LOG_SHOWN:]
        self._log.value = f'<pre style="{LOG_STYLE}">{escape(text) or "(nothing yet)"}</pre>'

    def _repr_html_(self) -> str:
        return look.submission_html(self._submission.data, self._shown)


def cancel(view: SubmissionView) -> None:
    """Stop all folds that have not ended."""
    view._cancel.disabled = True
    view.say(f"{view._submission.cancel()} folds are being stopped")


def rerun(view: SubmissionView) -> None:
    """Train the failed folds again, and watch them."""
    view._rerun.disabled = True
    view.say(f"{view._submission.rerun()} folds are trained again")
    view.show(view._submission._folds())
    view.watch()


def show_log(view: SubmissionView) -> None:
    """Show the log of the chosen fold."""
    if view._which.value is not None:
        view.show_log(view._submission.log(view._which.value))
