"""How a command tells a person that something cannot be done: one sentence, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from datarun_ext.config import Settings
from datarun_ext.errors import DatarunError


def load_settings() -> Settings:
    """Return the settings as the server would read them; a wrong one ends the command."""
    try:
        return Settings.load()
    except ValueError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of the domain and of the database into the command's own message."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except DatarunError as error:
        raise click.ClickException(error.message) from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        msg = (
            f"The database cannot be used: {reason}. Check `database_url` (`datarun options`) and "
            "that the database runs, then `datarun db upgrade`."
        )
        raise click.ClickException(msg) from error
