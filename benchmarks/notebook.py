"""From a notebook: a cell to its first tested fold, and `cross_validate` against scikit-learn's."""

from __future__ import annotations

import statistics
import time
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from servers import server
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_validate
from sklearn.naive_bayes import GaussianNB

import datarun_ext as dr

CELL = """
from sklearn.linear_model import LogisticRegression


class Classifier(LogisticRegression):
    pass
"""
ROUNDS = 10
FOLDS = 10


def first_fold(shell: InteractiveShell) -> float:
    """Return the seconds from running the cell to its first tested fold."""
    begin = time.perf_counter()
    submission = shell.run_cell_magic("datarun", "submit iris --cv 5", CELL)
    fold = next(iter(submission))
    taken = time.perf_counter() - begin
    assert fold.state == "TESTED"
    submission.wait(progress=False)
    return taken


def main() -> None:
    """Print the figures."""
    with server() as here:
        session = dr.connect(here.url, token=here.token)
        frame = load_iris(as_frame=True).frame
        session.upload(frame, name="iris", target="target", workflow="classifier").split(0.2)
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "datarun_ext")
        first_fold(shell)
        times = [first_fold(shell) for _ in range(ROUNDS)]
        print(
            f"cell to first tested fold: median {statistics.median(times):.2f} s, "
            f"{min(times):.2f} to {max(times):.2f} s"
        )
        # The workers of both are started, and have scikit-learn imported.
        X, y = load_iris(return_X_y=True)
        cross_validate(RandomForestClassifier(2), X, y, n_jobs=2)
        dr.cross_validate(RandomForestClassifier(2), X, y)
        compare("naive Bayes", GaussianNB(), rows=150)
        for rows, trees in ((150, 5), (20_000, 60)):
            forest = RandomForestClassifier(n_estimators=trees, random_state=0)
            compare(f"{trees} trees", forest, rows=rows)


def compare(what: str, model: Any, *, rows: int) -> None:
    """Print the seconds of a cross-validation here and on the pool."""
    X, y = make_classification(rows, 20, n_informative=8, random_state=0)
    begin = time.perf_counter()
    ours = dr.cross_validate(model, X, y, cv=FOLDS)
    middle = time.perf_counter()
    theirs = cross_validate(model, X, y, cv=FOLDS, n_jobs=2)
    end = time.perf_counter()
    assert (ours["test_score"] == theirs["test_score"]).all()
    mine, others = middle - begin, end - middle
    print(
        f"cross_validate of {what} on {rows} rows, {FOLDS} folds: datarun {mine:.2f} s, "
        f"scikit-learn with 2 jobs {others:.2f} s, ratio {mine / others:.2f}; "
        f"{(mine - others) / FOLDS:.2f} s more a fold"
    )


if __name__ == "__main__":
    main()
