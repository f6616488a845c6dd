"""What a runner's main process tells its slots, in memory that they share."""

from __future__ import annotations

import mmap
import struct
import time

_LAYOUT = struct.Struct("<qddd")
_ALARM, _ALARM_AT = struct.Struct("<q"), 48
_PATH, _PATH_MOST = 64, 256


class Shared:
    """Written by the main process, read by the slots that are forked from it.

    A slot reads what holds now: the runner has another id after it had to register again.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._write(0, 10.0, 45.0, 0.0)

    @property
    def runner_id(self) -> int:
        """The number that the master gave to this runner."""
        return int(self._read()[0])

    @property
    def heartbeat_s(self) -> float:
        """How often a lease must be renewed."""
        return float(self._read()[1])

    @property
    def lease_s(self) -> float:
        """How long a fold may go without renewal."""
        return float(self._read()[2])

    @property
    def stopping(self) -> bool:
        """Whether the runner takes no more work."""
        return bool(self._read()[3])

    @property
    def stopped(self) -> bool:
        """Whether running folds must be given up now."""
        deadline = self._read()[3]
        return bool(deadline) and time.monotonic() >= deadline

    @property
    def zygote(self) -> str:
        """The socket of the zygote."""
        text = self._memory[_PATH : _PATH + _PATH_MOST]
        return text[: text.index(b"\0")].decode()

    @zygote.setter
    def zygote(self, path: str) -> None:
        text = path.encode()
        if len(text) >= _PATH_MOST:
            msg = f"the path of the zygote's socket is too long: {path}"
            raise ValueError(msg)
        self._memory[_PATH : _PATH + _PATH_MOST] = text.ljust(_PATH_MOST, b"\0")

    @property
    def alarm(self) -> int:
        """The master's newest alarm: after another one, each fold asks whether it must end."""
        return int(_ALARM.unpack_from(self._memory, _ALARM_AT)[0])

    @alarm.setter
    def alarm(self, number: int) -> None:
        _ALARM.pack_into(self._memory, _ALARM_AT, number)

    def registered(self, runner_id: int, heartbeat_s: float, lease_s: float) -> None:
        """Note the master's answer to a registration."""
        self._write(runner_id, heartbeat_s, lease_s, self._read()[3])

    def stop(self, grace_s: float) -> None:
        """Take no more work, and give up what runs after a while; the first call counts."""
        runner_id, heartbeat_s, lease_s, deadline = self._read()
        if not deadline:
            self._write(int(runner_id), heartbeat_s, lease_s, time.monotonic() + grace_s)

    def _read(self) -> tuple[float, ...]:
        return _LAYOUT.unpack_from(self._memory)

    def _write(self, runner_id: int, heartbeat_s: float, lease_s: float, deadline: float) -> None:
        _LAYOUT.pack_into(self._memory, 0, runner_id, heartbeat_s, lease_s, deadline)
