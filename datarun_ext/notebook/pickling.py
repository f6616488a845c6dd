"""Objects of a notebook on their way to a runner: with their code, and back without any."""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle


class NotTrusted(pickle.UnpicklingError):
    """A result holds an object of a class that is not plainly data."""


_REGISTRY = threading.Lock()
"""One pickles at a time: cloudpickle's list of modules belongs to all threads."""


@contextmanager
def local_code() -> Iterator[None]:
    """Let modules beside the notebook travel with their code: no runner has them."""
    with _REGISTRY, _registered():
        yield


@contextmanager
def _registered() -> Iterator[None]:
    mine = [module for module in list(sys.modules.values()) if _is_local(module)]
    known = cloudpickle.list_registry_pickle_by_value()
    added = [module for module in mine if module.__name__ not in known]
    for module in added:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)


def _is_local(module: ModuleType) -> bool:
    """Whether a module lies below the working folder, outside of any environment there."""
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "__main__")
    if not file or name == "__main__" or name.partition(".")[0] in ("datarun_ext", "celery_app"):
        return False
    path, here = Path(file), Path.cwd()
    if sys.modules.get(name) is not module or not path.is_relative_to(here):
        return False
    inside = path.relative_to(here).parts
    return "site-packages" not in inside and not path.is_relative_to(sys.prefix)


def dumps(value: Any) -> bytes:
    """Return an object with the code that it needs.

    Raises
    ------
    TypeError
        If it cannot travel.
    """
    try:
        with local_code():
            data: bytes = cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise TypeError(_cannot(value, error)) from error
    return data


def _cannot(value: Any, error: Exception) -> str:
    return (
        f"{type(value).__name__} cannot travel to a runner: {error}. Leave out of it what belongs "
        "to this process alone (open files, locks, connections)."
    )


class Shared:
    """Pickles several tasks so that an object which all of them hold travels once.

    Parameters
    ----------
    tasks : sequence of (args, kwargs)
        Arguments of the tasks; an object that more than one task is given is shared.
    """

    def __init__(self, tasks: Sequence[tuple[Sequence[Any], dict[str, Any]]]) -> None:
        seen: dict[int, int] = {}
        kept: dict[int, Any] = {}
        for args, kwargs in tasks:
            for key, value in {id(v): v for v in (*args, *kwargs.values())}.items():
                seen[key] = seen.get(key, 0) + 1
                kept[key] = value
        plain = (type(None), bool, int, float, complex, str, bytes, type)
        self.objects = [
            kept[key] for key, n in seen.items() if n > 1 and not isinstance(kept[key], plain)
        ]
        self._places = {id(value): at for at, value in enumerate(self.objects)}

    def dumps(self, value: Any) -> bytes:
        """Return a task; the shared objects in it are only named."""
        places = self._places

        class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
            def persistent_id(self, found: Any) -> int | None:
                return places.get(id(found))

        target = io.BytesIO()
        try:
            with local_code():
                Pickler(target, protocol=5).dump(value)
        except Exception as error:
            raise TypeError(_cannot(value, error)) from error
        return target.getvalue()


_DATA = {
    "builtins": {"complex", "set", "frozenset", "slice", "range", "bytearray"},
    "collections": {"OrderedDict", "defaultdict"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "scipy.sparse._csr": {"csr_array", "csr_matrix"},
    "scipy.sparse._csc": {"csc_array", "csc_matrix"},
    "scipy.sparse._coo": {"coo_array", "coo_matrix"},
}
"""What a result may be made of: constructors that run no code of anybody's."""


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _DATA.get(module, ()):
            msg = (
                f"A result holds {module}.{name}, which is no plain data; reading it would run "
                "code that came from a runner. If you trust the server and its runners, use "
                "`with dr.pool(trust=True):`."
            )
            raise NotTrusted(msg)
        return super().find_class(module, name)


def loads(data: bytes, *, trust: bool) -> Any:
    """Read what a runner sent back: numbers, texts and arrays; anything only with `trust`."""
    if trust:
        return pickle.loads(data)
    return _DataUnpickler(io.BytesIO(data)).load()
