"""The magics ``%datarun`` and ``%%datarun submit``."""

from datarun_ext.magics.magics import DatarunMagics, load, unload

__all__ = ["DatarunMagics", "load", "unload"]
