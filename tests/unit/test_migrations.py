"""The migrations make exactly the tables of the models, on both databases."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from datarun_ext.models import Base
from datarun_ext.services.database import Database


def test_upgrade_from_nothing_equals_the_models(database_url: str) -> None:
    database = Database(database_url)
    assert database.revisions()[0] is None
    database.upgrade()
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    current, needed = database.revisions()
    assert current == needed
    database.upgrade()  # again: nothing happens
    with database._writing.begin() as connection:
        command.downgrade(database.alembic_config(connection), "base")
    with database._engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    database.close()
