"""Split a standard dataset into a training set and a held-out test set."""

from __future__ import annotations

from sklearn.model_selection import train_test_split

from celery_app.execution import Context, RunFault
from celery_app.layout import MADE, RAW, TEST_FILE, TRAIN_FILE
from celery_app.programs.csvfile import read_table
from celery_app.programs.labels import describe, hand_over
from celery_app.programs.prepare import TARGET
from datarun_ext.protocol import Reason


def split(context: Context) -> None:
    """Write ``train.csv`` and ``test.csv``, and hand over their labels."""
    arguments = context.arguments
    name, target = arguments["file"], arguments[TARGET]
    frame = read_table(context.path(f"{RAW}/{name}"), name, target)
    held_out = arguments["held_out_test"]
    try:
        train, test = train_test_split(
            frame, test_size=held_out, random_state=arguments["random_state"]
        )
    except ValueError as error:
        raise RunFault(
            Reason.DATA_ERROR,
            f"{name} has {len(frame)} rows, which cannot be split with held_out_test={held_out}: "
            f"{error}",
        ) from None
    made = context.path(MADE)
    train.to_csv(f"{made}/{TRAIN_FILE}", index=False)
    test.to_csv(f"{made}/{TEST_FILE}", index=False)
    hand_over(
        context,
        describe(train[target], test[target], arguments["workflow_elements"]),
        n_train=len(train),
        n_test=len(test),
        columns=[str(column) for column in frame.columns],
    )
