"""Run one function of a module in the code folder: for the canary and for tests of the sandbox."""

from __future__ import annotations

import importlib
import json
import sys

from celery_app.execution import Context
from datarun_ext.protocol import Phase

VALUE = "value"
"""Name of the output that holds what the function returned, as JSON."""


def probe(context: Context) -> None:
    """Import the module that lies at ``code`` and call its function with the context."""
    arguments = context.arguments
    sys.path.insert(0, context.path(arguments["code"]))
    context.begin(Phase.TRAIN)
    module = importlib.import_module(arguments["module"])
    value = getattr(module, arguments["function"])(context)
    context.output(VALUE, json.dumps(value).encode())
    context.end()
