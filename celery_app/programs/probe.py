"""Run one function of a module in the code folder: for the canary and for tests of the sandbox."""

from __future__ import annotations

import importlib
import sys

from celery_app.execution import Context


def probe(context: Context) -> None:
    """Import the module that lies at ``code`` and call its function with the context."""
    sys.path.insert(0, context.path(context.arguments["code"]))
    module = importlib.import_module(context.arguments["module"])
    getattr(module, context.arguments["function"])(context)
