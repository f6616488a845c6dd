"""datarun: train and test machine-learning submissions on cross-validation folds, from Jupyter."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__version__ = version("datarun")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell the Jupyter server which application to load."""
    from datarun_ext.app import DatarunApp

    return [{"module": "datarun_ext", "app": DatarunApp}]
