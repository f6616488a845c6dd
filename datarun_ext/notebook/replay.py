"""Train and test a fold in this process, by the runner's own code but outside of any sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def replay(
    *,
    code: Path,
    data: Path,
    kind: Literal["standard", "custom"],
    target_column: str,
    workflow_elements: Sequence[str],
    train_is: NDArray[np.int64],
) -> tuple[Any, Any]:
    """Return the predictions of the whole training set and of the test set.

    Parameters
    ----------
    code, data : Path
        Folders with the submission's and the dataset's files.
    kind, target_column, workflow_elements
        Of the dataset.
    train_is : array of int64
        The rows to train on.

    Raises
    ------
    Exception
        What the submission raises.
    """
    from celery_app.programs.modules import load, make_importable
    from celery_app.workflow import Workflow

    if kind == "standard":
        X, y, X_test = _tables(data, target_column)
        workflow = Workflow(str(code), workflow_elements)
        workflow.train(X, y, train_is)
        return workflow.predict(X), workflow.predict(X_test)
    specific = load(str(data), make_importable(str(data)), "specific", needed_by="the dataset")
    X, y = specific.get_train_data(str(data))
    X_test, _ = specific.get_test_data(str(data))
    if not hasattr(specific, "train_submission"):
        workflow = Workflow(str(code), workflow_elements)
        workflow.train(X, y, train_is)
        return workflow.predict(X), workflow.predict(X_test)
    model = specific.train_submission(make_importable(str(code)), X, y, train_is)
    return (
        specific.test_submission(model, X, range(len(X))),
        specific.test_submission(model, X_test, range(len(X_test))),
    )


def _tables(data: Path, target: str) -> tuple[Any, Any, Any]:
    from celery_app.programs.csvfile import read_table

    train, test = (
        read_table(str(data / f"{n}.csv"), f"{n}.csv", target) for n in ("train", "test")
    )
    return train.drop(columns=[target]), train[target], test.drop(columns=[target])
