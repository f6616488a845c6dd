"""Kinds of options that an environment variable may set too.

What the command line or a configuration file sets comes first, also where it equals the default;
then the first variable that is set; then the default.
"""

from __future__ import annotations

import os
import re
from typing import Any

from traitlets import Bool, Float, Int, TraitError, TraitType, Unicode

SCHEDULER_PERIOD = "CELERY_SCHEDULER_PERIOD"
"""In minutes, as in datarun 0.4 (`*/2`), where all other times are seconds."""


class OptionError(ValueError):
    """An option has a value that it cannot have; the message says which, why and what to do."""


class _Option(TraitType[Any, Any]):
    """Base: the default is what the environment says."""

    def __init__(self, default_value: Any, *env: str, help: str, **arguments: Any) -> None:
        super().__init__(default_value, help=help, **arguments)
        self.tag(config=True, env=env)

    def default(self, obj: Any = None) -> Any:
        """Return what holds for `obj` where nothing is configured.

        Raises
        ------
        OptionError
            If the variable holds a value that the option cannot have.
        """
        for variable in self.metadata["env"]:
            text = os.environ.get(variable, "")
            if text and obj is not None:
                return self._read(obj, variable, text)
        return self.default_value

    def _read(self, obj: Any, variable: str, text: str) -> Any:
        try:
            value = _seconds(text) if variable == SCHEDULER_PERIOD else self.from_string(text)
            return self._validate(obj, value)
        except (ValueError, TraitError) as error:
            msg = f"Environment variable {variable} is {text!r}: {error}. Correct or unset it."
            raise OptionError(msg) from error


class TextOption(_Option, Unicode[str, str | bytes]):
    """An option that is a text."""


class FlagOption(_Option, Bool[bool, bool | int]):
    """An option that is on or off."""


class CountOption(_Option, Int[int, int]):
    """An option that is a whole number."""


class NumberOption(_Option, Float[float, int | float]):
    """An option that is a number."""


def _seconds(text: str) -> float:
    minutes = re.fullmatch(r"\*/(\d+)|(\d+(?:\.\d+)?)", text.strip())
    if minutes is None:
        msg = "a number of minutes such as */2 is needed"
        raise ValueError(msg)
    return 60.0 * float(minutes[1] or minutes[2])
