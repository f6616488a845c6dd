"""Ten folds of a random forest on two slots, against joblib with two loky workers.

Both begin with the same table: what pandas makes of it lies column by column in memory, and
predicting from that takes a forest twice as long as from rows.

``python benchmarks/joblib_ratio.py [rounds] [trees]``; without more, scikit-learn's own 100 trees.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from servers import server
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold

ROWS, COLUMNS, FOLDS = 20_000, 40, 10
TREES = int(sys.argv[2]) if len(sys.argv) > 2 else 100
CODE = f"""
from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.forest = RandomForestClassifier(n_estimators={TREES}, random_state=0)

    def fit(self, X, y):
        self.forest.fit(X, y)

    def predict_proba(self, X):
        return self.forest.predict_proba(X)
"""


def by_hand(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Do what a fold does."""
    forest = RandomForestClassifier(n_estimators=TREES, random_state=0).fit(X[train], y[train])
    forest.predict_proba(X)
    return forest.predict_proba(X_test)


def main() -> None:
    """Print the figures; both take turns, since the machine may become slower or faster."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    X, y = make_classification(ROWS + 2000, COLUMNS, n_informative=10, random_state=0)
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(COLUMNS)]).assign(y=y)
    X = frame.drop(columns="y").to_numpy()
    splits = list(KFold(FOLDS).split(X[:ROWS]))
    with server() as here, Parallel(n_jobs=2) as pool:
        client = here.client()
        made = client.datasets.create(
            "forest", frame, target_column="y", workflow_elements="classifier"
        )
        client.tasks.wait(client.datasets.split(made, 2000))
        warm = client.folds.create(
            np.arange(100), np.arange(100, 200), dataset=made, files={"classifier.py": CODE}
        )
        client.wait([warm])
        pool(delayed(by_hand)(X[:200], y[:200], X[:10], np.arange(100)) for _ in range(4))

        def datarun() -> None:
            folds = [
                client.folds.create(train, test, submission=warm.submission)
                for train, test in splits
            ]
            ended = client.wait(folds, timeout=900)
            assert {fold.state for fold in ended} == {"TESTED"}

        def joblib() -> None:
            pool(delayed(by_hand)(X[:ROWS], y[:ROWS], X[ROWS:], train) for train, _ in splits)

        ours, peer = [], []
        for number in range(rounds):
            for run, times in [(datarun, ours), (joblib, peer)][:: -1 if number % 2 else 1]:
                begin = time.perf_counter()
                run()
                times.append(time.perf_counter() - begin)
            print(f"datarun: {ours[-1]:.2f} s; joblib: {peer[-1]:.2f} s", flush=True)
    print(f"ratio of the sums {sum(ours) / sum(peer):.3f}, of the best {min(ours) / min(peer):.3f}")


if __name__ == "__main__":
    main()
