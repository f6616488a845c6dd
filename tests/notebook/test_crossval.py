"""Cross-validation on the pool gives scikit-learn's own numbers, to the last bit."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_diabetes, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

import datarun_ext as dr
from datarun_ext.notebook import FoldFailed, Session
from datarun_ext.notebook.pickling import NotTrusted, Shared, dumps, loads

IRIS = load_iris(return_X_y=True)
DIABETES = tuple(part[:150] for part in load_diabetes(return_X_y=True))


class Nearest(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that no runner has installed."""

    def __init__(self, power: float = 2.0) -> None:
        self.power = power

    def fit(self, X: Any, y: Any) -> Nearest:
        self.classes_ = np.unique(y)
        self.centres_ = np.array([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict(self, X: Any) -> Any:
        far = (np.abs(X[:, None] - self.centres_) ** self.power).sum(axis=2)
        return self.classes_[far.argmin(axis=1)]


Nearest.__module__ = "__main__"  # as if the notebook had defined it


class Moody(LogisticRegression):  # type: ignore[misc]
    """Fails on some folds only."""

    def fit(self, X: Any, y: Any) -> Moody:
        if X[:, 0].mean() > 5.85:
            msg = "not today"
            raise RuntimeError(msg)
        super().fit(X, y)
        return self


Moody.__module__ = "__main__"


class Loud(GaussianNB):  # type: ignore[misc]
    """Warns; and fails where the client of HTTP has been imported, which a fit does not need."""

    def fit(self, X: Any, y: Any) -> Loud:
        if "requests" in sys.modules:
            msg = "a fold has imported requests"
            raise RuntimeError(msg)
        warnings.warn("not yet", ConvergenceWarning, stacklevel=1)
        super().fit(X, y)
        return self


Loud.__module__ = "__main__"

CLASSIFIERS = [
    LogisticRegression(max_iter=1000),
    RandomForestClassifier(n_estimators=5, random_state=0),
    SVC(),
    KNeighborsClassifier(),
    GaussianNB(),
    DecisionTreeClassifier(random_state=0),
    make_pipeline(StandardScaler(), SelectKBest(k=2), LinearDiscriminantAnalysis()),
    Nearest(power=1.5),
]
REGRESSORS = [
    Ridge(),
    Lasso(0.1),
    KNeighborsRegressor(),
    SVR(),
    HistGradientBoostingRegressor(max_iter=10, random_state=0),
]


def third(truth: Any, predicted: Any) -> float:
    """A scorer of one's own."""
    return float(np.mean(np.abs(truth - predicted) ** 3))


CASES = [(e, IRIS, StratifiedKFold(2)) for e in CLASSIFIERS] + [
    (e, DIABETES, KFold(2)) for e in REGRESSORS
]


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        if name == "indices":
            for part in ("train", "test"):
                for one, other in zip(ours[name][part], values[part], strict=True):
                    np.testing.assert_array_equal(one, other)
        elif not name.endswith("_time"):
            assert ours[name].dtype == values.dtype
            assert ours[name].tobytes() == values.tobytes(), name
        else:
            assert ours[name].shape == values.shape
            assert (ours[name] >= 0).all()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("estimator", "data", "own"), CASES, ids=[type(c[0]).__name__ for c in CASES]
)
def test_the_numbers_are_scikit_learns(
    session: Session, estimator: Any, data: tuple[Any, Any], own: Any
) -> None:
    X, y = data
    classes = data is IRIS
    names = ["accuracy", "f1_macro"] if classes else ["r2", "neg_root_mean_squared_error"]
    scoring: dict[str, Any] = {name: name for name in names}
    scoring["third"] = make_scorer(third, greater_is_better=False)

    arguments = {"scoring": scoring, "return_train_score": True, "return_indices": True}
    repeated = RepeatedKFold(n_splits=2, n_repeats=1, random_state=3)
    splitters = [own, ShuffleSplit(2, random_state=1), repeated]

    def on_the_pool(cv: Any) -> dict[str, Any]:
        return dr.cross_validate(estimator, X, y, cv=cv, session=session, timeout=250, **arguments)

    # Threads of OpenMP that spin beside others take minutes.
    with threadpool_limits(1):
        theirs = [cross_validate(estimator, X, y, cv=cv, **arguments) for cv in splitters]
    with ThreadPoolExecutor(len(splitters)) as threads:
        for one, other in zip(threads.map(on_the_pool, splitters), theirs, strict=True):
            same(one, other)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_predictions(session: Session, method: str) -> None:
    X, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    arguments = {"cv": StratifiedKFold(3), "method": method}
    estimator = LogisticRegression(max_iter=1000)
    theirs = cross_val_predict(estimator, X, names, **arguments)
    ours = dr.cross_val_predict(estimator, X, names, session=session, **arguments)
    np.testing.assert_array_equal(ours, theirs)


def test_score_of_groups(session: Session) -> None:
    X, y = IRIS
    arguments = {"groups": np.arange(len(y)) % 4, "cv": GroupKFold(4)}
    np.testing.assert_array_equal(
        dr.cross_val_score(GaussianNB(), X, y, session=session, **arguments),
        cross_val_score(GaussianNB(), X, y, **arguments),
    )


def test_fitted_estimators_come_back(session: Session) -> None:
    X, y = IRIS
    result = dr.cross_validate(Nearest(), X, y, cv=2, return_estimator=True, session=session)
    theirs = cross_validate(Nearest(), X, y, cv=2, return_estimator=True)
    for one, other in zip(result["estimator"], theirs["estimator"], strict=True):
        assert type(one).__name__ == "Nearest"
        np.testing.assert_array_equal(one.centres_, other.centres_)


def test_a_grid_search_runs_on_the_pool(session: Session) -> None:
    X, y = IRIS
    seen: set[int] = set()

    def search() -> GridSearchCV:
        return GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2, refit=False).fit(X, y)

    with dr.pool(session, on_fold=lambda fold: seen.add(fold.id)):
        ours = search()
    theirs = search()
    assert len(seen) == 4
    assert ours.best_params_ == theirs.best_params_
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])


def test_a_refit_runs_here_and_what_is_parallel_in_it_on_the_pool(session: Session) -> None:
    X, y = IRIS
    with dr.pool(session):
        search = GridSearchCV(Nearest(), {"power": [2.0]}, cv=2).fit(X, y)
        assert isinstance(search.best_estimator_, Nearest)
        with pytest.raises(NotTrusted, match="GaussianNB.*trust=True"):
            VotingClassifier([("bayes", GaussianNB())]).fit(X, y)


def test_a_failure_is_the_exception_that_it_is_here(session: Session) -> None:
    X, y = IRIS
    with pytest.raises(RuntimeError, match="not today") as caught:
        dr.cross_validate(Moody(), X, y, cv=KFold(3), error_score="raise", session=session)
    assert isinstance(caught.value, FoldFailed)
    assert caught.value.reason == "USER_ERROR"
    with pytest.raises(ValueError, match="must be a float"):
        dr.cross_validate(SVC(C=-1), X, y, cv=2, error_score="raise", session=session)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        dr.cross_validate(SVC(C=-1), X, y, cv=2, session=session)


def test_some_failures_are_nan_and_warned_of(session: Session) -> None:
    X, y = IRIS
    with pytest.warns(FitFailedWarning):
        theirs = cross_validate(Moody(max_iter=1000), X, y, cv=KFold(3))
    with pytest.warns(FitFailedWarning, match="not today"):
        ours = dr.cross_validate(Moody(max_iter=1000), X, y, cv=KFold(3), session=session)
    assert 0 < np.isnan(theirs["test_score"]).sum() < 3
    same(ours, theirs)


def test_filters_of_warnings_ask_for_no_package_that_a_runner_has_not(session: Session) -> None:
    elsewhere = type("Elsewhere", (UserWarning,), {"__module__": "package_of_this_notebook"})
    X, y = IRIS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", elsewhere)
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = dr.cross_val_score(Loud(), X, y, cv=2, error_score="raise", session=session)
        assert len(found) == 2
        # A filter for what a fit may well give travels.
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(FoldFailed, match="ConvergenceWarning: not yet"):
            dr.cross_val_score(Loud(), X, y, cv=2, error_score="raise", session=session)


def test_nothing_is_left_on_the_server(session: Session) -> None:
    X, y = IRIS
    before = {one.id for one in session.datasets()}
    dr.cross_val_score(GaussianNB(), X, y, cv=2, session=session)
    assert {one.id for one in session.datasets()} == before
    dr.cross_val_score(GaussianNB(), X, y, cv=2, session=session, keep=True)
    (kept,) = [one for one in session.datasets() if one.id not in before]
    assert kept.submissions()[0].name == "fit_and_score"
    kept.delete()


def test_what_all_calls_have_travels_once() -> None:
    big = np.zeros(100_000)
    shared = Shared([((big, i), {"extra": big}) for i in range(5)])
    assert [one is big for one in shared.objects] == [True]
    assert len(shared.dumps((big, 3))) < 1000


def exits() -> None:
    raise SystemExit


class Evil:
    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return exits, ()


@pytest.mark.parametrize(
    "value",
    [
        {"score": np.float64(0.5), "times": np.arange(3.0), "names": np.array(["a"]), "no": None},
        [1.5, float("nan"), "text", b"bytes", (1, 2), {3}, complex(1, 2)],
        np.array(["a", None], dtype=object),
    ],
)
def test_plain_results_are_read(value: Any) -> None:
    assert repr(loads(dumps(value), trust=False)) == repr(value)


def test_results_with_code_are_not_read() -> None:
    with pytest.raises(NotTrusted, match="trust=True"):
        loads(dumps(Evil()), trust=False)
    with pytest.raises(NotTrusted):
        loads(b"cos\nsystem\n(S'true'\ntR.", trust=False)
    assert isinstance(loads(dumps(SVC()), trust=True), SVC)


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(TypeError, match="lock cannot travel to a runner"):
        dumps(threading.Lock())


class Modules(pickle.Unpickler):
    """Notes which modules a pickle asks for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.asked.add(module)
        return super().find_class(module, name)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_pickle_local_code_at_the_same_time() -> None:
    """One that is done takes nothing away from another that is not."""
    tasks = [Nearest(power) for power in np.linspace(1, 2, 40)]
    with ThreadPoolExecutor(8) as pool:
        pickles = [Modules(data) for data in pool.map(dumps, tasks)]
    for pickled in pickles:
        assert pickled.load().power >= 1
        assert __name__ not in pickled.asked
