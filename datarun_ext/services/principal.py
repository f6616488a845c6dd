"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL_USER = "jupyter"
"""Owner of what comes from a Jupyter server that has one user: its tokens have no stable name."""
EVERYONE = ""
"""Owner of what all may see, such as runners."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or program, after authentication."""

    name: str
    is_superuser: bool = False

    def may_see(self, owner: str) -> bool:
        """Whether a thing of that owner is theirs to see and to change."""
        return self.is_superuser or owner in (self.name, EVERYONE)
