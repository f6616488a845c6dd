"""Everything in one place: upload a dataset, split it, submit files to it, watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets

from datarun_ext.client import ClientError
from datarun_ext.notebook.current import current
from datarun_ext.notebook.guess import guess_name, guess_workflow, table_columns
from datarun_ext.notebook.session import Session
from datarun_ext.widget.submission import SubmissionView

WIDE = {"width": "30em"}
CHOOSE = {"width": "max-content", "margin": "2px 0 6px 8.6em"}
LABEL = {"description_width": "8em"}


class Panel(widgets.VBox):  # type: ignore[misc]
    """Upload a dataset, split it, submit to it and watch, without code.

    Parameters
    ----------
    session : Session, optional
        Default: the server of this notebook.

    Examples
    --------
    >>> dr.Panel()
    Panel(...)
    """

    def __init__(self, session: Session | None = None) -> None:
        self._session = session or current()
        self._views: list[SubmissionView] = []
        self._note = widgets.HTML()
        self._make_dataset_part()
        self._make_submit_part()
        self._shown = widgets.VBox()
        tabs = widgets.Tab(
            [self._dataset_part, self._submit_part], titles=["1 Dataset", "2 Submit"]
        )
        super().__init__([tabs, self._note, self._shown])
        self._do(self.refresh)

    def _make_dataset_part(self) -> None:
        self._files = widgets.FileUpload(
            description="Choose files", multiple=True, accept="", layout=CHOOSE
        )
        self._files.observe(lambda _: self._do(self._guess), "value")
        self._name = widgets.Text(description="Name", layout=WIDE, style=LABEL)
        self._target = widgets.Combobox(description="Target column", layout=WIDE, style=LABEL)
        self._workflow = widgets.Combobox(
            description="Workflow",
            options=["classifier", "regressor", "feature_extractor, classifier", "estimator"],
            layout=WIDE,
            style=LABEL,
        )
        self._test = widgets.FloatSlider(
            0.2, min=0.05, max=0.9, step=0.05, description="Test part", layout=WIDE, style=LABEL
        )
        self._upload = self._button("Upload and split", self._do_upload)
        self._dataset_part = widgets.VBox(
            [self._files, self._name, self._target, self._workflow, self._test, self._upload]
        )

    def _make_submit_part(self) -> None:
        self._dataset = widgets.Dropdown(description="Dataset", layout=WIDE, style=LABEL)
        self._code = widgets.FileUpload(
            description="Choose .py files", multiple=True, accept=".py", layout=CHOOSE
        )
        self._title = widgets.Text(description="Name", layout=WIDE, style=LABEL)
        self._cv = widgets.BoundedIntText(
            5, min=2, max=1000, description="Folds", layout=WIDE, style=LABEL
        )
        self._urgent = widgets.Checkbox(
            False, description="before others (H)", layout=WIDE, style=LABEL
        )
        self._submit = self._button("Submit", self._do_submit)
        self._submit_part = widgets.VBox(
            [self._dataset, self._code, self._title, self._cv, self._urgent, self._submit]
        )

    def _button(self, text: str, act: Callable[[], None]) -> Any:
        button = widgets.Button(
            description=text,
            button_style="primary",
            # Below the fields, not below their names; as wide as its text.
            layout={"width": "max-content", "margin": "6px 0 2px 8.6em"},
        )
        button.on_click(lambda _: self._do(act))
        return button

    def _do(self, act: Callable[[], None]) -> None:
        """Do what was asked for; what goes wrong is shown."""
        try:
            act()
        except (ClientError, ValueError, TypeError, LookupError, OSError) as error:
            text = error.args[0] if isinstance(error, LookupError) and error.args else error
            self._say(str(text), bad=True)

    def _say(self, text: str, *, bad: bool = False) -> None:
        colour = "var(--jp-error-color1,#c62828)" if bad else "inherit"
        self._note.value = f'<span style="color:{colour}">{escape(text)}</span>'

    def refresh(self) -> None:
        """Ask the server for its datasets."""
        chosen = self._dataset.value
        found = [(f"{one.name} (id {one.id})", one.id) for one in self._session.datasets()]
        self._dataset.options = found
        if chosen in [ident for _, ident in found]:
            self._dataset.value = chosen

    def _guess(self) -> None:
        """Fill in what the chosen files say by themselves."""
        files = _contents(self._files.value)
        columns = table_columns(files)
        if len(files) != 1 or columns is None:
            return
        self._name.value = self._name.value or guess_name(next(iter(files)))
        self._target.options = columns
        self._target.value = self._target.value or columns[-1]
        self._workflow.value = self._workflow.value or guess_workflow(files, self._target.value)

    def _do_upload(self) -> None:
        files = _contents(self._files.value)
        if not files:
            msg = "choose a CSV file, or the files of a custom dataset with its .py"
            raise ValueError(msg)
        self._say("Uploading …")
        dataset = self._session.upload(
            files,
            name=self._name.value,
            target=self._target.value or None,
            workflow=self._workflow.value or None,
        )
        self._say("Splitting …")
        custom = dataset.data.kind == "custom"
        dataset.split(None if custom else self._test.value)
        self.refresh()
        self._dataset.value = dataset.id
        self._say(repr(dataset))

    def _do_submit(self) -> None:
        files = _contents(self._code.value)
        if self._dataset.value is None or not files:
            msg = "choose a dataset and the submission's .py files"
            raise ValueError(msg)
        submission = self._session.dataset(self._dataset.value).submit(
            files,
            name=self._title.value,
            cv=self._cv.value,
            priority="H" if self._urgent.value else "L",
        )
        self._say(f"Submission {submission.id} was sent; it is shown below.")
        self.show(submission.widget())

    def show(self, view: SubmissionView) -> None:
        """Show a submission below, the newest first."""
        self._views.insert(0, view)
        self._shown.children = tuple(self._views)


def _contents(value: Sequence[Any]) -> dict[str, bytes]:
    """Return what a FileUpload holds."""
    return {str(one["name"]): bytes(one["content"]) for one in value}
