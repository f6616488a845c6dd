"""What a person submits, as the files that a submission has."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from datarun_ext.client.codec import read_files
from datarun_ext.notebook.pickling import dumps

CLASSES = {
    "feature_extractor": "FeatureExtractor",
    "classifier": "Classifier",
    "regressor": "Regressor",
    "calibrator": "Calibrator",
    "estimator": "get_estimator",
}
"""What each file of a submission must define."""
METHODS = {
    "feature_extractor": ("fit", "transform"),
    "classifier": ("fit", "predict_proba"),
    "regressor": ("fit", "predict"),
    "calibrator": ("fit", "predict_proba"),
    "estimator": ("fit", "predict"),
}
"""What the object must have of which one is made."""

_LOAD = '''"""Made from {what}, sent from a notebook."""

import pickle
from pathlib import Path

_sent = pickle.loads(Path(__file__).with_name("{file}").read_bytes())
'''
_CLASS = """
{name} = _sent
"""
_ESTIMATOR = '''

def get_estimator():
    """Return an estimator that nothing has been fitted on."""
    from sklearn.base import clone

    return clone(_sent)
'''
_OBJECT = '''

class {name}:
    """Fits a copy of what was sent."""

    def __init__(self):
        from copy import deepcopy

        self.sent = deepcopy(_sent)

    def fit(self, X, y):
        self.sent.fit(X, y)

    def {method}(self, X):
        return self.sent.{method}(X)
'''


class CannotSubmit(TypeError):
    """What was given is nothing that can be submitted; says what can."""


def as_files(code: Any, elements: Sequence[str]) -> dict[str, bytes]:
    """Return the files of a submission.

    Parameters
    ----------
    code : estimator, class, source, path, or {file name: one of these}
    elements : sequence of str
        The dataset's workflow elements: the files that a submission must have.

    Raises
    ------
    CannotSubmit
        If it is something else, or cannot be what the dataset asks for.
    SyntaxError
        If it is source that Python cannot read.
    """
    if isinstance(code, Mapping):
        files: dict[str, bytes] = {}
        for name, value in code.items():
            files.update(_one(str(name), value))
        return files
    if isinstance(code, str) and "\n" in code:
        return from_source(code, elements)
    if isinstance(code, str | PathLike | list | tuple):
        return read_files(code, suffix=".py")
    if not _is_object(code):
        raise CannotSubmit(_wrong(code))
    if len(elements) != 1:
        names = ", ".join(f'"{name}.py": ...' for name in elements)
        msg = f"this dataset wants several files: give each of them, {{{names}}}"
        raise CannotSubmit(msg)
    return _made_from(code, elements[0])


def from_source(text: str, elements: Sequence[str], file: str | None = None) -> dict[str, bytes]:
    """Return the files of a submission whose classes all stand in one source.

    Each file gets the whole source, so that line numbers are the same in all of them.

    Parameters
    ----------
    file : str, optional
        Name of the only file; without it, the files are those that the dataset asks for.
    """
    defined = _defined(text)
    if file is not None:
        return {file: text.encode()}
    missing = [
        f"{CLASSES[name]} (for {name}.py)"
        for name in elements
        if name in CLASSES and CLASSES[name] not in defined
    ]
    if missing:
        found = ", ".join(sorted(defined)) or "nothing"
        msg = (
            f"the source does not define {', '.join(missing)}, which the workflow "
            f"{', '.join(elements)} needs; it defines {found}"
        )
        raise CannotSubmit(msg)
    return {f"{name}.py": text.encode() for name in elements}


def _defined(text: str) -> set[str]:
    """Return the names that a module has once it is imported, roughly."""
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.If | ast.Try):
            # Not followed: whether it is defined there is known only when it runs.
            names |= {n.name for n in ast.walk(node) if isinstance(n, ast.ClassDef)}
    return names


def _one(name: str, value: Any) -> dict[str, bytes]:
    if _is_object(value):
        return _made_from(value, name.removesuffix(".py"))
    if isinstance(value, str | bytes | PathLike):
        return read_files({name: value})
    raise CannotSubmit(_wrong(value))


def _is_object(value: Any) -> bool:
    return isinstance(value, type) or hasattr(value, "fit")


def _made_from(value: Any, element: str) -> dict[str, bytes]:
    if element not in CLASSES:
        known = ", ".join(f"{name}.py" for name in CLASSES)
        msg = f"no {element}.py can be made from an object, only {known}: give its source"
        raise CannotSubmit(msg)
    what = value.__name__ if isinstance(value, type) else type(value).__name__
    missing = [name for name in METHODS[element] if not hasattr(value, name)]
    if missing and not (isinstance(value, type) and element == "estimator"):
        msg = f"{what} has no {missing[0]}, which {element}.py needs"
        if "predict_proba" in missing:
            msg += "; an SVC has it with probability=True, or wrap it in CalibratedClassifierCV"
        raise CannotSubmit(msg)
    pickled = f"{element}.pickle"
    body = _LOAD.format(what=what, file=pickled)
    if element == "estimator":
        value = value() if isinstance(value, type) else value
        body += _ESTIMATOR
    elif isinstance(value, type):
        body += _CLASS.format(name=CLASSES[element])
    else:
        body += _OBJECT.format(name=CLASSES[element], method=METHODS[element][1])
    return {f"{element}.py": body.encode(), pickled: dumps(value)}


def _wrong(code: Any) -> str:
    return (
        f"a {type(code).__name__} cannot be submitted: give an estimator, a class, Python source, "
        "the path of a file or folder, or {file name: one of these}"
    )
