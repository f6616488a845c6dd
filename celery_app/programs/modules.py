"""Import the modules of a submission or a dataset as a real package."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from celery_app.execution import RunFault
from datarun_ext.protocol import Reason


def make_importable(folder: str) -> str:
    """Let ``import_module(".name", package)`` find the modules of a folder; return the package.

    The folder's parent comes first on ``sys.path`` and is inherited by processes that the
    submission starts, so that they can unpickle its objects. The folder itself comes last: a
    module may also import its neighbour by its bare name, and shadows nothing by that.
    """
    parent, package = os.path.split(folder)
    if parent not in sys.path:
        sys.path.insert(0, parent)
        sys.path.append(folder)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if parent not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [parent, *paths]))
    return package


def load(
    folder: str,
    package: str,
    name: str,
    *,
    needed_by: str,
    reason: Reason = Reason.USER_ERROR,
) -> ModuleType:
    """Import ``name`` of a package, or say which file is missing and what needs it."""
    source = os.path.join(folder, name)
    if not (os.path.isfile(f"{source}.py") or os.path.isfile(os.path.join(source, "__init__.py"))):
        raise RunFault(reason, f"The file {name}.py is missing; {needed_by} needs it.")
    return import_module(f".{name}", package)


def member(module: ModuleType, name: str, *, reason: Reason = Reason.USER_ERROR) -> Any:
    """Return what a module must define, or say that it does not."""
    try:
        return getattr(module, name)
    except AttributeError:
        file = os.path.basename(module.__file__ or module.__name__)
        raise RunFault(reason, f"{file} does not define {name}.") from None
