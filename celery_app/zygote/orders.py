"""An order, as a fold's process and its init are told."""

from __future__ import annotations

import json
import os
import stat
from typing import Any

from celery_app.execution import Order
from celery_app.zygote import wire

MB = 10**6
_UNCOUNTED = 16


def outer_paths(order: Order, *, private: bool) -> dict[str, str]:
    """Return where each path of an order lies on this machine.

    Raises
    ------
    OSError
        If one does not exist, or the fold's user could not read it.
    """
    outer: dict[str, str] = {}
    for inside, outside in {**order.readonly, **order.writable}.items():
        path = os.path.realpath(outside)
        if not os.path.exists(path):
            msg = f"{order.key}: {outside}, to be shown as {inside}, does not exist"
            raise FileNotFoundError(msg)
        if private and os.geteuid() == 0 and inside in order.readonly:
            mode = os.stat(path).st_mode
            needed = 0o005 if stat.S_ISDIR(mode) else 0o004
            if mode & needed != needed:
                msg = (
                    f"{order.key}: {outside} cannot be read by a fold, which is nobody when the "
                    f"runner is root; make it readable: chmod a+rX {path}"
                )
                raise PermissionError(msg)
        outer[inside] = path
    return outer


def for_fold(
    order: Order, outer: dict[str, str], *, home: str, private: bool, counted: bool
) -> bytes:
    """Return the message to the fold's process.

    Parameters
    ----------
    private : bool
        Whether the paths of the order exist as such, in a file tree of the fold's own.
    counted : bool
        Whether a control group limits processes, and counts what it refuses: then it must be the
        first to refuse.
    """
    limits = order.limits
    body = json.dumps(
        {
            "arguments": dict(order.arguments),
            "program": order.program,
            "paths": {inside: inside for inside in outer} if private else outer,
            "readonly": list(order.readonly),
            "writable": list(order.writable),
            "code": order.code,
            "home": home,
            "threads": order.threads,
            "memory": limits.memory_mb * MB,
            "disk": limits.disk_mb * MB,
            "processes": limits.processes + (_UNCOUNTED if counted else 0),
        }
    ).encode()
    return wire.LENGTH.pack(len(body)) + body


def for_init(order: Order, outer: dict[str, str]) -> dict[str, Any]:
    """Return the message to the init, which mounts the inputs."""
    return {
        "disk": order.limits.disk_mb * MB,
        "readonly": {inside: outer[inside] for inside in order.readonly},
        "writable": {inside: outer[inside] for inside in order.writable},
    }


def code_folders(order: Order) -> tuple[str, ...]:
    """Return the submission's folder, as a fold may know it at any level."""
    if order.code is None:
        return ()
    found = [order.code]
    for inside, outside in order.readonly.items():
        if order.code == inside or order.code.startswith(inside + "/"):
            found.append(os.path.realpath(outside) + order.code[len(inside) :])
    return tuple(found)
