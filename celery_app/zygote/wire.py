"""Messages between client, warden, zygote, spawner and init, and the frames of a fold."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

_MOST = 1 << 18
_MOST_DESCRIPTORS = 8

LENGTH = struct.Struct(">I")

FRAME = struct.Struct(">cI")
"""Kind and length of what a fold says."""
READY = b"R"
BROKEN = b"S"
BEGIN = b"B"
END = b"E"
OUTPUT = b"O"
ERROR = b"X"
DONE = b"D"
ACKNOWLEDGED = b"k"


def send(
    connection: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send one message, with open descriptors."""
    ancillary = []
    if descriptors:
        numbers = array.array("i", descriptors)
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes()))
    connection.sendmsg([json.dumps(message).encode()], ancillary)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one message; raises `ConnectionError` when the other side is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, _MOST, _MOST_DESCRIPTORS)
    if not data:
        for descriptor in descriptors:
            os.close(descriptor)
        msg = "the other side is gone"
        raise ConnectionResetError(msg)
    message: dict[str, Any] = json.loads(data)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return message, descriptors


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets that keep message boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def peer_uid(connection: socket.socket) -> int:
    """Return the user on the other side, as the kernel knows it."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", data)[1]
    return uid


def rehearse() -> None:
    """Send and receive once, to nobody.

    After a fork, what a process writes to first is copied, page by page: done now, nobody waits
    for it when a message comes.
    """
    here, there = pair()
    with here, there:
        send(here, {"a": [1, None, {"b": "c"}]}, [there.fileno()])
        peer_uid(there)
        for descriptor in receive(there)[1]:
            os.close(descriptor)
