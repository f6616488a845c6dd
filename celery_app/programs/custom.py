"""Programs for a custom dataset: the organiser's ``specific.py`` splits, loads, trains and tests.

In a fold it meets the submission, so a fold gets the module without any data file: what
``get_train_data`` and ``get_test_data`` return was loaded before, in a sandbox of its own, and the
labels of the test set were dropped there.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from celery_app.execution import Context, RunFault
from celery_app.layout import CODE, FULL_TRAIN, MADE, PREPARED, RAW, SPECIFIC, TEST
from celery_app.programs import labels, predictions
from celery_app.programs.fold import indices
from celery_app.programs.modules import load, make_importable, member
from celery_app.programs.objects import load_object, store_object
from celery_app.programs.predictions import Expected
from celery_app.programs.prepare import X_TEST, X_TRAIN, Y_TRAIN
from celery_app.workflow import Workflow, take
from datarun_ext.protocol import Phase, Reason

ELEMENTS = "workflow_elements"


def custom_split(context: Context) -> None:
    """Run ``prepare_data`` in the dataset's folder, and hand over the labels of what it made."""
    folder = context.path(RAW)
    specific = _specific(folder)
    _member(specific, "prepare_data")(folder)
    X_train, y_train, X_test, y_test = _data(specific, folder)
    labels.hand_over(
        context,
        labels.describe(y_train, y_test, context.arguments[ELEMENTS]),
        n_train=len(y_train),
        n_test=len(y_test),
        columns=[str(column) for column in getattr(X_train, "columns", ())],
    )


def prepare_custom(context: Context) -> None:
    """Store what ``get_train_data`` and ``get_test_data`` return, but for the test labels."""
    folder = context.path(RAW)
    X_train, y_train, X_test, _ = _data(_specific(folder), folder)
    made = context.path(MADE)
    store_object(made, X_TRAIN, X_train)
    store_object(made, Y_TRAIN, y_train)
    store_object(made, X_TEST, X_test)


def custom_fold(context: Context) -> None:
    """Train by ``train_submission``, then predict the training set and the test set.

    A ``specific.py`` without the two functions leaves the training to the workflow elements.
    """
    arguments = context.arguments
    specific = _specific(context.path(SPECIFIC))
    folder = context.path(PREPARED)
    X_train, y_train, X_test = (load_object(folder, name) for name in (X_TRAIN, Y_TRAIN, X_TEST))
    train_is = indices(arguments["train_is"])
    expected = [
        Expected(FULL_TRAIN, arguments["n_train"]),
        Expected(TEST, arguments["n_test"]),
    ]
    trainer: _Specific | Workflow
    if hasattr(specific, "train_submission"):
        trainer = _Specific(specific, make_importable(context.path(CODE)))
    else:
        trainer = Workflow(context.path(CODE), arguments[ELEMENTS])

    context.begin(Phase.TRAIN)
    trainer.train(X_train, y_train, train_is)
    for phase, X, wanted in zip(
        (Phase.VALIDATION, Phase.TEST), (X_train, X_test), expected, strict=True
    ):
        context.begin(phase)
        if isinstance(trainer, Workflow):
            few = arguments.get("few_rows")
            predicted = trainer.predict(take(X, range(wanted.rows)) if few else X)
        else:
            predicted = trainer.predict(X, wanted.rows)
        predictions.hand_over(context, predicted, wanted)
    context.end()


class _Specific:
    """Training and testing as the organiser wrote them."""

    def __init__(self, specific: ModuleType, module_path: str) -> None:
        self.specific = specific
        self.module_path = module_path
        self.model: Any = None

    def train(self, X: Any, y: Any, train_is: Any) -> None:
        self.model = self.specific.train_submission(self.module_path, X, y, train_is)

    def predict(self, X: Any, rows: int) -> Any:
        return _member(self.specific, "test_submission")(self.model, X, range(rows))


def _specific(folder: str) -> ModuleType:
    package = make_importable(folder)
    return load(folder, package, "specific", needed_by="a custom dataset", reason=Reason.DATA_ERROR)


def _member(specific: ModuleType, name: str) -> Any:
    return member(specific, name, reason=Reason.DATA_ERROR)


def _data(specific: ModuleType, folder: str) -> tuple[Any, Any, Any, Any]:
    """Return X and y of train and of test as the organiser's functions give them."""
    found: list[Any] = []
    for name in ("get_train_data", "get_test_data"):
        pair = _member(specific, name)(folder)
        try:
            X, y = pair
            rows = len(X), len(y)
        except (TypeError, ValueError):
            raise RunFault(
                Reason.DATA_ERROR,
                f"{name} of specific.py must return (X, y), two sequences of one length.",
            ) from None
        if rows[0] != rows[1]:
            raise RunFault(
                Reason.DATA_ERROR,
                f"{name} of specific.py returns {rows[0]} rows of X and {rows[1]} of y.",
            )
        found += [X, y]
    X_train, y_train, X_test, y_test = found
    return X_train, y_train, X_test, y_test
