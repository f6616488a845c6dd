"""Fixtures of the runner's tests."""

from __future__ import annotations

# Imported once here, so that forked programs need not.
import sklearn.ensemble
import sklearn.linear_model  # noqa: F401
