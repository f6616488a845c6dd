"""Train and apply the workflow elements of a submission.

The elements run in a fixed order: feature extractor, then classifier (with its calibrator),
regressor or estimator. The arrays that they see, down to type and memory order, are those that
datarun 0.4 gave them, so that the same submission gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from celery_app.execution import RunFault
from celery_app.programs.modules import load, make_importable, member
from datarun_ext.protocol import Reason

FEATURE_EXTRACTOR = "feature_extractor"
CLASSIFIER = "classifier"
CALIBRATOR = "calibrator"
REGRESSOR = "regressor"
ESTIMATOR = "estimator"
PREDICTORS = (CLASSIFIER, REGRESSOR, ESTIMATOR)
KNOWN = (FEATURE_EXTRACTOR, *PREDICTORS, CALIBRATOR)


def take(rows: Any, indices: Any) -> Any:
    """Return some rows: of a DataFrame by position, of anything else as a list."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[indices]
    return [rows[i] for i in indices]


@dataclass(slots=True)
class Workflow:
    """A submission's elements; `train` fits them, `predict` applies them.

    Parameters
    ----------
    folder : str
        Where the submission's files are.
    elements : sequence of str
        Names of the elements, e.g. ``("feature_extractor", "classifier")``.
    """

    folder: str
    elements: Sequence[str]
    package: str = field(init=False, default="")
    _extractor: Any = field(init=False, default=None)
    _predictor: Any = field(init=False, default=None)
    _calibrator: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        unknown = [name for name in self.elements if name not in KNOWN]
        if unknown:
            raise RunFault(
                Reason.DATA_ERROR,
                f'The workflow element "{unknown[0]}" of the dataset is unknown; '
                f"known are {', '.join(KNOWN)}.",
            )
        if not any(name in PREDICTORS for name in self.elements):
            raise RunFault(
                Reason.DATA_ERROR,
                "The workflow of the dataset predicts nothing: it needs one of "
                f"{', '.join(PREDICTORS)}.",
            )
        self.package = make_importable(self.folder)

    @property
    def kind(self) -> str:
        """Return the element that predicts."""
        return next(name for name in PREDICTORS if name in self.elements)

    def train(self, X: Any, y: Any, train_is: np.ndarray) -> None:
        """Fit all elements on the rows `train_is`."""
        X_train = take(X, train_is)
        y_train = _pick(y, train_is)
        if not isinstance(X, pd.DataFrame):
            y_train = np.array(y_train)
        if FEATURE_EXTRACTOR in self.elements:
            self._extractor = self._make(FEATURE_EXTRACTOR, "FeatureExtractor")
            self._extractor.fit(X_train, y_train)
            X_train = self._extractor.transform(X_train)
        elif self.kind != ESTIMATOR:
            X_train = np.array(X_train)
        if FEATURE_EXTRACTOR not in self.elements:
            y_train = np.array(y_train)
        if self.kind == ESTIMATOR:
            self._predictor = self._make(ESTIMATOR, "get_estimator")
        else:
            self._predictor = self._make(self.kind, self.kind.capitalize())
        if CALIBRATOR in self.elements:
            self._train_calibrated(X_train, y_train)
        else:
            self._predictor.fit(X_train, y_train)

    def predict(self, X: Any) -> Any:
        """Predict every row: probabilities of a classifier, values of a regressor."""
        rows = range(len(X))
        X_test = take(X, rows)
        if self._extractor is not None:
            X_test = self._extractor.transform(X_test)
        elif self.kind != ESTIMATOR:
            X_test = np.array(X_test)
        if not self.gives_probabilities:
            return self._predictor.predict(X_test)
        probabilities = self._predictor.predict_proba(X_test)
        if self._calibrator is not None:
            return self._calibrator.predict_proba(probabilities)
        return probabilities

    @property
    def gives_probabilities(self) -> bool:
        """Say whether predictions have one column per class; known once trained."""
        if self.kind == ESTIMATOR:
            from sklearn.base import is_regressor

            return hasattr(self._predictor, "predict_proba") and not is_regressor(self._predictor)
        return self.kind == CLASSIFIER

    def _make(self, element: str, name: str) -> Any:
        needed_by = f'the workflow "{",".join(self.elements)}"'
        module = load(self.folder, self.package, element, needed_by=needed_by)
        return member(module, name)()

    def _train_calibrated(self, X_train: Any, y_train: Any) -> None:
        from sklearn.model_selection import StratifiedShuffleSplit

        splitter = StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57)
        fit_is, calibrate_is = next(splitter.split(X_train, y_train))
        self._predictor.fit(_pick(X_train, fit_is), _pick(y_train, fit_is))
        calibrator = self._make(CALIBRATOR, "Calibrator")
        probabilities = self._predictor.predict_proba(_pick(X_train, calibrate_is))
        calibrator.fit(probabilities, _pick(y_train, calibrate_is))
        self._calibrator = calibrator


def _pick(rows: Any, indices: np.ndarray) -> Any:
    """Return rows by position, as the type that they have."""
    if hasattr(rows, "iloc"):
        return rows.iloc[indices]
    return rows[indices] if isinstance(rows, np.ndarray) else take(rows, indices)
