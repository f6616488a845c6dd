"""scikit-learn's cross-validation, computed on the runner pool.

The functions have scikit-learn's names, arguments and results. Each fit is one fold of datarun;
what is fitted and scored on it is done by scikit-learn's own code, in the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import parallel_config
from sklearn import model_selection

from datarun_ext.client import Client, Priority
from datarun_ext.notebook.backend import DatarunBackend, OnFold, PoolOptions

if TYPE_CHECKING:
    from datarun_ext.client.datasets import LimitsLike
    from datarun_ext.notebook.session import Session


@contextmanager
def pool(
    session: Session | Client | None = None,
    *,
    priority: Priority | str = Priority.LOW,
    limits: LimitsLike | None = None,
    timeout: float | None = None,
    trust: bool = False,
    keep: bool = False,
    on_fold: OnFold | None = None,
) -> Iterator[None]:
    """Run whatever scikit-learn parallelises with joblib on the runner pool.

    All calls of one parallel loop become the folds of one submission: the fits of a grid search,
    of a learning curve, of a permutation importance. What is not in such a loop runs here as
    always: with ``refit=True``, which is the default of a search, the best model is fitted once
    more in this process, within the ``with``. So that only scores travel, search with
    ``refit=False`` and fit the best parameters afterwards, as in the example.

    Parameters
    ----------
    session : Session or Client, optional
        Default: the server of this notebook.
    priority : Priority or str
        H goes before L.
    limits : Limits or mapping, optional
        What each call may use.
    timeout : float, optional
        Seconds for all calls of a loop.
    trust : bool
        Whether results may be any objects, as fitted estimators. Reading such a result can run
        code that a runner sent: say so only of a server whose runners you trust. Without it only
        numbers, texts and arrays are read.
    keep : bool
        Whether the dataset and the submission stay on the server afterwards, to be looked at.
    on_fold : callable, optional
        Called with each fold when its state changes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.svm import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(SVC(), {"C": [0.01, 1]}, cv=2, refit=False)
    >>> with dr.pool():
    ...     search.fit(X, y)
    GridSearchCV(...)
    >>> best = SVC(**search.best_params_).fit(X, y)
    >>> best.C
    1
    """
    from datarun_ext.notebook.current import client_of

    options = PoolOptions(
        client=client_of(session),
        priority=str(priority),
        limits=limits,
        timeout=timeout,
        trust=trust,
        keep=keep,
        on_fold=on_fold,
    )
    with parallel_config(backend=DatarunBackend(options=options), n_jobs=-1):
        yield


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "all",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
    **options: Any,
) -> dict[str, Any]:
    """Return what `sklearn.model_selection.cross_validate` returns, computed on the runner pool.

    Parameters
    ----------
    estimator, X, y, groups, scoring, cv, params
        As of scikit-learn's function. What is defined in the notebook travels with its code.
    n_jobs, pre_dispatch
        Accepted and not used: how many folds run at once is the pool's affair.
    return_train_score, return_estimator, return_indices, error_score, verbose
        As of scikit-learn's function. Fitted estimators come back as pickles: ask for them only
        from a server whose runners you trust.
    **options
        Of `pool`: session, priority, limits, timeout, keep, on_fold.

    Raises
    ------
    FoldFailed
        With ``error_score="raise"``, if a fit fails; it is also an instance of the exception that
        was raised, where that is known here.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> result = dr.cross_validate(GaussianNB(), X, y, cv=3, scoring="accuracy")
    >>> result["test_score"].tolist()
    [0.92, 0.94, 0.96]
    """
    options.setdefault("trust", return_estimator)
    with pool(**options):
        found: dict[str, Any] = model_selection.cross_validate(
            estimator,
            X,
            y,
            groups=groups,
            scoring=scoring,
            cv=cv,
            verbose=verbose,
            params=params,
            pre_dispatch="all",
            return_train_score=return_train_score,
            return_estimator=return_estimator,
            return_indices=return_indices,
            error_score=error_score,
        )
    return found


def cross_val_score(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "all",
    error_score: Any = np.nan,
    **options: Any,
) -> Any:
    """Return what `sklearn.model_selection.cross_val_score` returns, computed on the runner pool.

    Parameters
    ----------
    **options
        Of `pool`: session, priority, limits, timeout, keep, on_fold. All others are those of
        scikit-learn's function; `n_jobs` and `pre_dispatch` are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> dr.cross_val_score(Ridge(), X, y, cv=2, scoring="r2").round(2).tolist()
    [0.36, 0.39]
    """
    with pool(**options):
        return model_selection.cross_val_score(
            estimator,
            X,
            y,
            groups=groups,
            scoring=scoring,
            cv=cv,
            verbose=verbose,
            params=params,
            pre_dispatch="all",
            error_score=error_score,
        )


def cross_val_predict(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "all",
    method: str = "predict",
    **options: Any,
) -> Any:
    """Return what `sklearn.model_selection.cross_val_predict` returns, computed on the pool.

    Parameters
    ----------
    **options
        Of `pool`: session, priority, limits, timeout, keep, on_fold. All others are those of
        scikit-learn's function; `n_jobs` and `pre_dispatch` are not used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> dr.cross_val_predict(GaussianNB(), X, y, cv=2, method="predict_proba").shape
    (150, 3)
    """
    with pool(**options):
        return model_selection.cross_val_predict(
            estimator,
            X,
            y,
            groups=groups,
            cv=cv,
            verbose=verbose,
            params=params,
            pre_dispatch="all",
            method=method,
        )
