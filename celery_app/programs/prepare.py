"""Parse a split dataset once, into what folds may see."""

from __future__ import annotations

from celery_app.execution import Context
from celery_app.frames import store_frame
from celery_app.layout import MADE, RAW, TEST_FILE, TRAIN_FILE
from celery_app.programs.csvfile import read_table

TARGET = "target_column"
X_TRAIN = "X_train"
Y_TRAIN = "y_train"
X_TEST = "X_test"


def prepare(context: Context) -> None:
    """Store X and y of the training set and X of the test set; the test labels are left out."""
    target = context.arguments[TARGET]
    made = context.path(MADE)
    for file, x_name, y_name in ((TRAIN_FILE, X_TRAIN, Y_TRAIN), (TEST_FILE, X_TEST, None)):
        data = read_table(context.path(f"{RAW}/{file}"), file, target)
        store_frame(made, x_name, data.drop([target], axis=1))
        if y_name is not None:
            store_frame(made, y_name, data[[target]])
