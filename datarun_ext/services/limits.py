"""What a fold may use: asked for by a client, bounded by the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from datarun_ext.config import Settings
from datarun_ext.errors import InvalidField
from datarun_ext.protocol import Limits


def check_limits(asked: Mapping[str, Any], *, settings: Settings) -> dict[str, float | int]:
    """Return the limits that were asked for, as numbers within the operator's maximum.

    Raises
    ------
    InvalidField
        With the limit, its value and the maximum.
    """
    unknown = set(asked) - set(Limits.model_fields)
    if unknown:
        known = ", ".join(Limits.model_fields)
        raise InvalidField("limits", f"{sorted(unknown)[0]!r} is no limit; known are {known}.")
    try:
        checked = Limits.model_validate(dict(asked))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidField("limits", f"{first['loc'][0]}: {first['msg']}.") from error
    for name in asked:
        most = getattr(settings.maximum, name)
        if getattr(checked, name) > most:
            raise InvalidField(
                "limits", f"{name} is {getattr(checked, name)}; this server allows at most {most}."
            )
    return {name: getattr(checked, name) for name in asked}


def merge_limits(*layers: Mapping[str, Any], settings: Settings) -> Limits:
    """Return the operator's default, overridden by each layer in turn (dataset, then fold)."""
    values = settings.limits.model_dump()
    for layer in layers:
        values.update(layer)
        if "hard_s" in layer and "soft_s" not in layer:
            values["soft_s"] = min(values["soft_s"], values["hard_s"])
        if "soft_s" in layer and "hard_s" not in layer:
            values["hard_s"] = max(
                values["hard_s"], min(values["soft_s"] * 1.2, settings.maximum.hard_s)
            )
    values["soft_s"] = min(values["soft_s"], values["hard_s"])
    return Limits(**values)
