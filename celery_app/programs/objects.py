"""Keep the data of a custom dataset between sandboxed processes.

What ``specific.py`` returns may be any object, so it is pickled; it is written and read inside
sandboxes only, the runner itself never opens it. Arrays lie beside the pickle and are mapped
copy-on-write: folds share their pages.
"""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path
from typing import Any

from celery_app.execution import RunFault
from datarun_ext.protocol import Reason

try:
    import cloudpickle
except ImportError:  # joblib, which scikit-learn needs, brought its own before 1.6
    from joblib.externals import cloudpickle

_ALIGNMENT = 64


def store_object(folder: str, name: str, value: Any) -> None:
    """Write an object; raises `RunFault` DATA_ERROR when it cannot be pickled."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        head = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    except Exception as error:
        raise RunFault(
            Reason.DATA_ERROR,
            f"{name} as specific.py returns it cannot be kept for the folds: {error!r}. Return "
            "arrays, DataFrames, lists or other objects that can be pickled.",
        ) from None
    places: list[tuple[int, int]] = []
    with open(Path(folder) / f"{name}.buffers", "wb") as file:
        for buffer in buffers:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            raw = buffer.raw()
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
    with open(Path(folder) / f"{name}.pickle", "wb") as file:
        pickle.dump(places, file)
        file.write(head)


def load_object(folder: str, name: str) -> Any:
    """Read an object that `store_object` wrote."""
    with open(Path(folder) / f"{name}.buffers", "rb") as file:
        empty = not file.seek(0, 2)
        view = memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    with open(Path(folder) / f"{name}.pickle", "rb") as file:
        places = pickle.load(file)
        return pickle.load(file, buffers=[view[at : at + size] for at, size in places])
