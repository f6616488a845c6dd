"""The two models that the demo trains, and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datarun_ext.client import Priority

if TYPE_CHECKING:
    import pandas as pd

FOREST = """\
from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.forest = RandomForestClassifier(n_estimators=20, random_state=0)

    def fit(self, X, y):
        self.forest.fit(X, y)

    def predict_proba(self, X):
        return self.forest.predict_proba(X)
"""

FEATURES = """\
class FeatureExtractor:
    def fit(self, X, y):
        pass

    def transform(self, X):
        petal = X["petal length"] * X["petal width"]
        sepal = X["sepal length"] * X["sepal width"]
        return X.assign(petal_area=petal, sepal_area=sepal).to_numpy()
"""

LOGISTIC = """\
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Classifier:
    def __init__(self):
        self.model = make_pipeline(StandardScaler(), LogisticRegression(C=10.0))

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""

CALIBRATOR = '''\
import numpy as np


class Calibrator:
    """Sharpens or flattens all probabilities by the one exponent that fits best."""

    def fit(self, probas, y):
        classes, codes = np.unique(y, return_inverse=True)
        self.power = 1.0
        best = np.inf
        for power in np.linspace(0.25, 4.0, 16):
            chosen = self._apply(probas, power)[np.arange(len(codes)), codes]
            loss = -np.log(np.clip(chosen, 1e-12, None)).mean()
            if loss < best:
                best, self.power = loss, power

    def predict_proba(self, probas):
        return self._apply(probas, self.power)

    @staticmethod
    def _apply(probas, power):
        raised = np.clip(probas, 1e-12, None) ** power
        return raised / raised.sum(axis=1, keepdims=True)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """A model of the demo, and the dataset that asks for such models."""

    name: str
    dataset: str
    workflow_elements: str
    priority: Priority
    files: dict[str, str]


MODELS = (
    DemoModel(
        name="random forest",
        dataset="iris",
        workflow_elements="classifier",
        priority=Priority.LOW,
        files={"classifier.py": FOREST},
    ),
    DemoModel(
        name="calibrated logistic",
        dataset="iris calibrated",
        workflow_elements="feature_extractor, classifier, calibrator",
        priority=Priority.HIGH,
        files={
            "feature_extractor.py": FEATURES,
            "classifier.py": LOGISTIC,
            "calibrator.py": CALIBRATOR,
        },
    ),
)


def iris_frame() -> pd.DataFrame:
    """Return scikit-learn's own iris set, with the column names of datarun's documentation."""
    from sklearn.datasets import load_iris

    bunch = load_iris(as_frame=True)
    frame: pd.DataFrame = bunch.data.rename(columns=lambda name: name.removesuffix(" (cm)"))
    return frame.assign(species=[str(bunch.target_names[code]) for code in bunch.target])
