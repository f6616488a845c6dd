"""What a fold may see of this machine: the interpreter, its packages and the system libraries."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable
from pathlib import Path

FOLD = "/fold"
"""A fold's own folder, at level ``full``: its home and working directory."""

FOLD_UID = 1000
"""The user that a fold believes to be, at level ``full``."""

BASE = "/.base"
HOST = "/.host"

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
_ETC = (
    "alternatives",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "timezone",
    "OpenCL",
)
DEVICES = ("null", "zero", "full", "random", "urandom")
ETC_FILES = {
    "passwd": (
        f"root:x:0:0:root:/:/bin/false\nfold:x:{FOLD_UID}:{FOLD_UID}:fold:{FOLD}:/bin/false\n"
    ),
    "group": f"root:x:0:\nfold:x:{FOLD_UID}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "hosts": "127.0.0.1 localhost\n",
}
_OURS = ("celery_app", "datarun_ext")


def python_paths(extra: Iterable[str] = ()) -> list[str]:
    """Return the folders that the interpreter and its packages need, none inside another."""
    found = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *extra}
    found.add(os.path.dirname(os.path.realpath(sys.executable)))
    site_folders = {*site.getsitepackages(), site.getusersitepackages()}
    for entry in sys.path:
        path = os.path.abspath(entry)
        ours = [os.path.join(path, name) for name in _OURS]
        if path not in site_folders and os.path.isdir(ours[0]):
            # A source tree holds more than packages: tests, notebooks, a .git folder.
            found.update(folder for folder in ours if os.path.isdir(folder))
        else:
            found.add(path)
    return _outermost(path for path in found if os.path.exists(path) and path != "/")


def system_paths() -> list[str]:
    """Return the system folders and files that libraries read."""
    etc = [f"/etc/{name}" for name in _ETC]
    return [path for path in (*_SYSTEM, *etc, "/sys") if os.path.exists(path)]


def readable_paths(extra: Iterable[str] = ()) -> list[str]:
    """Return everything that a fold may read where there is no mount namespace."""
    etc = [f"/etc/{name}" for name in ETC_FILES]
    devices = [f"/dev/{name}" for name in DEVICES]
    return [*python_paths(extra), *system_paths(), *etc, *devices, "/proc"]


def reachable_by_others(paths: Iterable[str]) -> bool:
    """Say whether a user without rights could reach and read all of these."""
    for path in paths:
        resolved = Path(os.path.realpath(path))
        if any(not folder.stat().st_mode & 0o001 for folder in resolved.parents):
            return False
        if not resolved.stat().st_mode & 0o004:
            return False
    return True


def _outermost(paths: Iterable[str]) -> list[str]:
    chosen: list[str] = []
    for path in sorted(set(paths), key=len):
        if not any(path == kept or path.startswith(kept + "/") for kept in chosen):
            chosen.append(path)
    return [path for path in chosen if not _below_system(path)]


def _below_system(path: str) -> bool:
    return any(path == system or path.startswith(system + "/") for system in _SYSTEM)
