"""What a warden and a zygote are told when they are started. Kept free of heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FULL = "full"
LANDLOCK = "landlock"
LIMITS = "limits"
LEVELS = (FULL, LANDLOCK, LIMITS)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one zygote."""

    level: str
    folder: str
    """Its own folder, mode 0700."""
    homes: str
    """Where the folders of folds are made, at levels without a file tree of their own."""
    cache_dir: str
    """Where the inputs of orders lie."""
    listener: int
    """Descriptor of the listening socket."""
    warden: int
    """Descriptor of the socket to the warden."""
    uid: int
    """Who may ask for folds."""
    sandbox_uid: int
    """The user, on this machine, that folds run as when the runner is root."""
    groups: dict[str, Any] | None
    """The control groups below which those of folds are made."""
    folds_per_zygote: int
    extra_paths: list[str]
