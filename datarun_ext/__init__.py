"""datarun: train and test machine-learning submissions on cross-validation folds, from Jupyter."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("datarun")
