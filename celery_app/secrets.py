"""Keep a runner's credentials out of its environment, where a fold might read them."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import NoReturn

from celery_app.config import SECRETS

_DESCRIPTOR = "DATARUN_SECRETS_FD"
_PR_SET_DUMPABLE = 4


def take_secrets() -> dict[str, str]:
    """Return the environment, credentials included, and leave none of them in it.

    What a process was started with stays readable in ``/proc/<pid>/environ`` whatever it does to
    its own variables, so a process that was started with credentials starts itself anew without
    them, and hands them over through a pipe.
    """
    environ = dict(os.environ)
    descriptor = os.environ.pop(_DESCRIPTOR, None)
    if descriptor is not None:
        environ.pop(_DESCRIPTOR)
        with os.fdopen(int(descriptor), "rb") as pipe:
            secrets: dict[str, str] = json.loads(pipe.read())
        return environ | secrets
    found = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    if found:
        _start_anew(found)
    return environ


def _start_anew(found: dict[str, str]) -> NoReturn:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(found).encode())
    os.set_inheritable(reader, True)
    os.environ[_DESCRIPTOR] = str(reader)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def hide_memory() -> None:
    """Let no other process of this user read this one's memory or environment."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
