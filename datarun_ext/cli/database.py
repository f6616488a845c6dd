"""``datarun db``: the database's tables."""

from __future__ import annotations

import click

from datarun_ext.cli.failures import load_settings, told
from datarun_ext.services.database import Database


@click.group()
def db() -> None:
    """Bring the database up to date.

    On SQLite the server does this by itself; on PostgreSQL run `datarun db upgrade` once after
    the installation and after each update, while no server runs.
    """


@db.command()
def upgrade() -> None:
    """Bring the tables up to date with this version of datarun."""
    with told():
        database = Database(load_settings().database_url)
        try:
            database.upgrade()
            current, _ = database.revisions()
        finally:
            database.close()
    click.echo(f"The database is up to date (revision {current}).")


@db.command()
def current() -> None:
    """Say which revision the database has; exit code 1 when it is not up to date."""
    with told():
        database = Database(load_settings().database_url)
        try:
            has, needs = database.revisions()
        finally:
            database.close()
    if has == needs:
        click.echo(f"The database is up to date (revision {has}).")
        return
    msg = (
        f"The database has revision {has or 'none'}, this version needs {needs}: run "
        "`datarun db upgrade`."
    )
    raise click.ClickException(msg)


@db.command()
@click.option("-m", "--message", required=True, help="What changes, in a few words.")
def revision(message: str) -> None:
    """Write a migration from the changes in the models (for developers)."""
    from alembic import command
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine

    with told():
        url = load_settings().database_url
        database = Database(url)
        engine = create_engine(url)
        try:
            database.upgrade()
            with engine.connect() as connection:
                config = database.alembic_config(connection)
                command.revision(config, message=message, autogenerate=True)
        except CommandError as error:
            raise click.ClickException(str(error)) from error
        finally:
            engine.dispose()
            database.close()
