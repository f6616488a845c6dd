"""datarun: train and test machine-learning submissions on cross-validation folds, from Jupyter.

In a notebook::

    import datarun_ext as dr

    iris = dr.upload(frame, name="iris", target="species").split(0.2)
    iris.submit(LogisticRegression()).wait().scores()

Everything that a person uses is imported when it is first asked for: the Jupyter server imports
this package too, and must start quickly.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datarun_ext.notebook import (
        Chart,
        Dataset,
        Fold,
        FoldFailed,
        Session,
        Submission,
        connect,
        cross_val_predict,
        cross_val_score,
        cross_validate,
        dataset,
        datasets,
        fold,
        health,
        pool,
        runners,
        submission,
        submissions,
        submit,
        upload,
    )
    from datarun_ext.widget import Panel

__all__ = [
    "Chart",
    "Dataset",
    "Fold",
    "FoldFailed",
    "Panel",
    "Session",
    "Submission",
    "connect",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "dataset",
    "datasets",
    "fold",
    "health",
    "pool",
    "runners",
    "submission",
    "submissions",
    "submit",
    "upload",
]

__version__ = version("datarun")


def __getattr__(name: str) -> Any:
    """Import what a person asks for."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = "datarun_ext.widget" if name == "Panel" else "datarun_ext.notebook"
    found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return what there is, for completion."""
    return sorted({*globals(), *__all__})


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell the Jupyter server which application to load."""
    from datarun_ext.app import DatarunApp

    return [{"module": "datarun_ext", "app": DatarunApp}]


def load_ipython_extension(shell: Any) -> None:
    """Add the magics ``%datarun`` and ``%%datarun submit``: ``%load_ext datarun_ext``."""
    from datarun_ext.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away again: ``%unload_ext datarun_ext``."""
    from datarun_ext.magics import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab where a checkout has its built panel (for `jupyter-builder develop`)."""
    return [{"src": "../labextension/dist", "dest": "datarun"}]
