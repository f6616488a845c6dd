"""Train and test a submission on one fold of a standard dataset."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from celery_app.execution import Context
from celery_app.frames import load_frame
from celery_app.layout import CODE, FULL_TRAIN, PREPARED, TEST
from celery_app.programs.predictions import Expected, hand_over
from celery_app.programs.prepare import TARGET, X_TEST, X_TRAIN, Y_TRAIN
from celery_app.workflow import Workflow
from datarun_ext.protocol import Phase


def indices(text: str) -> np.ndarray:
    """Return row numbers as they come over the wire: base64(zlib(int64))."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i8").astype(np.int64)


def fold(context: Context) -> None:
    """Fit on the fold's rows, then predict the whole training set and the test set.

    With ``few_rows``, only the first ``n_train`` and ``n_test`` rows of them.
    """
    arguments = context.arguments
    folder = context.path(PREPARED)
    train_is = indices(arguments["train_is"])
    X_train = load_frame(folder, X_TRAIN)
    y_train = load_frame(folder, Y_TRAIN)[arguments[TARGET]]
    X_test = load_frame(folder, X_TEST)
    seen = X_train
    if arguments.get("few_rows"):
        seen, X_test = X_train.iloc[: arguments["n_train"]], X_test.iloc[: arguments["n_test"]]
    workflow = Workflow(context.path(CODE), arguments["workflow_elements"])

    context.begin(Phase.TRAIN)
    workflow.train(X_train, y_train, train_is)
    context.begin(Phase.VALIDATION)
    predictions = workflow.predict(seen)
    probabilities = workflow.gives_probabilities
    hand_over(context, predictions, Expected(FULL_TRAIN, arguments["n_train"], probabilities))
    context.begin(Phase.TEST)
    predictions = workflow.predict(X_test)
    hand_over(context, predictions, Expected(TEST, arguments["n_test"], probabilities))
    context.end()
