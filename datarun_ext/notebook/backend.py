"""Calls of joblib on the runner pool: scikit-learn's own parallel loops, run as folds.

scikit-learn hands each fit of a cross-validation or a search to joblib; this backend sends them to
datarun, all calls of one loop as one submission. scikit-learn itself decides what is computed and
puts the results together, so they are its own.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib.parallel import ParallelBackendBase

from datarun_ext.client import Client, ClientError, Fold
from datarun_ext.notebook.failures import fold_failed
from datarun_ext.notebook.pickling import Shared, loads
from datarun_ext.notebook.pickling import dumps as dump

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from datarun_ext.client.datasets import LimitsLike

MANY = 100_000
"""How many jobs joblib is told there are: it then hands over all calls at once."""
WARN = {"__main__", "builtins", "joblib", "numpy", "pandas", "scipy", "sklearn"}
"""Packages whose warnings a fold shows as this process would; a runner has imported them."""
ABOUT = '"""{n} calls of {what}, sent from a notebook; their code is in the dataset."""\n'

OnFold = Callable[[Fold], None]


@dataclass
class _Call:
    batch: Any
    callback: Callable[[Any], None] | None
    results: list[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How calls are sent.

    Attributes
    ----------
    client : Client
    priority : str
        H goes before L.
    limits : Limits or mapping, optional
        What each call may use.
    timeout : float, optional
        Seconds for all calls of a loop.
    trust : bool
        Whether results may be any objects: reading them can run code that a runner sent.
    keep : bool
        Whether the dataset and the submission stay on the server afterwards.
    on_fold : callable, optional
        Called with each fold when its state changes.
    """

    client: Client
    priority: str = "L"
    limits: LimitsLike | None = None
    timeout: float | None = None
    trust: bool = False
    keep: bool = False
    on_fold: OnFold | None = None


@dataclass
class _Pending:
    calls: list[_Call] = field(default_factory=list)


class DatarunBackend(ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's calls on datarun's runners; see `dr.pool`."""

    supports_retrieve_callback = False

    def __init__(self, *, options: PoolOptions, nesting_level: int = 0, **kwargs: Any) -> None:
        super().__init__(nesting_level=nesting_level, **kwargs)
        self.options = options
        self._pending = _Pending()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls may wait at once; how many run is the pool's affair."""
        return MANY

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> _Call:
        """Take in a call; it is sent with the others when a result is asked for."""
        call = _Call(func, callback)
        self._pending.calls.append(call)
        return call

    def retrieve_result(self, out: _Call, timeout: float | None = None) -> list[Any]:
        """Return what a call returned."""
        if out.results is None:
            calls, self._pending.calls = self._pending.calls, []
            self._run(calls)
        assert out.results is not None
        if out.callback is not None:
            out.callback(out.results)
        return out.results

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Forget what was not sent yet."""
        self._pending.calls.clear()

    def terminate(self) -> None:
        """Forget what was not sent yet."""
        self._pending.calls.clear()

    def _run(self, calls: list[_Call]) -> None:
        items = [item for call in calls for item in call.batch.items]
        results = iter(run_calls(items, self.options))
        for call in calls:
            call.results = [next(results) for _ in call.batch.items]


def run_calls(items: list[tuple[Any, Any, Any]], options: PoolOptions) -> list[Any]:
    """Run (function, args, kwargs) on the pool; return what they return, in their order.

    Raises
    ------
    FoldFailed
        If one fails; the others are stopped.
    """
    client = options.client
    items = [(_portable(function), args, kwargs) for function, args, kwargs in items]
    shared = Shared([(args, kwargs) for _, args, kwargs in items])
    pickles = [shared.dumps(item) for item in items]
    sent = {
        "specific.py": files("datarun_ext.notebook").joinpath("remote.py").read_bytes(),
        "shared.bin": dump(shared.objects),
        "calls.bin": b"".join(pickles),
        "ends.bin": np.cumsum([len(one) for one in pickles], dtype="<i8").tobytes(),
    }
    what = getattr(getattr(items[0][0], "function", items[0][0]), "__name__", "a function")
    dataset = client.datasets.create(
        f"calls-{secrets.token_hex(6)}",
        sent,
        target_column="result",
        workflow_elements="estimator",
        limits=options.limits,
    )
    try:
        client.datasets.custom_split(dataset)
        nothing = [len(items)]
        submission = client.submissions.create(
            dataset,
            {"calls.py": ABOUT.format(n=len(items), what=what.lstrip("_"))},
            cv=[([row], nothing) for row in range(len(items))],
            name=what.lstrip("_"),
            priority=options.priority,
        )
        watch = _Watch(options)
        folds = client.wait(submission, options.timeout, watch)
        return [_result(client, fold, trust=options.trust) for fold in folds]
    finally:
        # Also what was interrupted: deleting stops what runs.
        if not options.keep:
            try:
                client.datasets.delete(dataset)
            except ClientError:
                pass


def _portable(function: Any) -> Any:
    """Return what scikit-learn wants to have called, without warnings that no fit gives.

    It sends this process's filters of warnings along. A filter names a class, so each fold would
    import the packages of all of them (the HTTP client's alone take a tenth of a second), and
    fail where a runner has them not.
    """
    filters = getattr(function, "warning_filters", None)
    if not filters:
        return function
    found = copy.copy(function)
    found.warning_filters = [one for one in filters if _is_known(one[2])]
    return found


def _is_known(category: Any) -> bool:
    if isinstance(category, tuple):
        return all(_is_known(one) for one in category)
    return category is None or category.__module__.partition(".")[0] in WARN


class _Watch:
    """Raises as soon as a fold has failed, so that nobody waits for the others."""

    def __init__(self, options: PoolOptions) -> None:
        self._options = options

    def __call__(self, fold: Fold) -> None:
        if self._options.on_fold is not None:
            self._options.on_fold(fold)
        if fold.reason is not None:
            raise fold_failed(self._options.client.folds.log(fold))


def _result(client: Client, fold: Fold, *, trust: bool) -> Any:
    numbers = client.folds.predictions(fold).test
    if numbers is None:
        raise fold_failed(client.folds.log(fold))
    return loads(_bytes(numbers[0]), trust=trust)


def _bytes(numbers: NDArray[np.float64]) -> bytes:
    return numbers[1:].astype("<u4").tobytes()[: int(numbers[0])]
