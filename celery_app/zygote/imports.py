"""What a zygote imports, so that no fold has to."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable

MODULES = (
    "scipy.stats",
    "scipy.sparse",
    "sklearn.calibration",
    "sklearn.cluster",
    "sklearn.compose",
    "sklearn.decomposition",
    "sklearn.discriminant_analysis",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.kernel_ridge",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "multiprocessing.pool",
    "concurrent.futures.process",
)


def import_modules() -> Callable[[int], None]:
    """Import and try what folds will need; returns what sets the threads of numerical libraries."""
    import celery_app.programs

    names = [
        f"celery_app.programs.{module.name}"
        for module in pkgutil.iter_modules(celery_app.programs.__path__)
    ]
    names += ["celery_app.zygote.inside", "celery_app.execution"]
    for name in (*MODULES, *names):
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"datarun zygote: {name} cannot be imported: {error}", file=sys.stderr)
    try:
        # Imported here: a runner whose scikit-learn is broken still runs what needs none.
        from celery_app.zygote.warmup import warm_up

        warm_up()
    except Exception as error:
        print(f"datarun zygote: folds start slower, warming up failed: {error}", file=sys.stderr)
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers

    def limit_threads(count: int) -> None:
        for library in libraries:
            library.set_num_threads(count)

    return limit_threads
