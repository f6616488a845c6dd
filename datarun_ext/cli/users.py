"""``datarun user``: people who come from outside Jupyter, by name and password."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from datarun_ext.cli.failures import load_settings, told
from datarun_ext.services.database import Database
from datarun_ext.services.users import Users


@contextmanager
def _users() -> Iterator[Users]:
    """Open the database of the server, made if it does not exist yet."""
    with told():
        db = Database(load_settings().database_url)
        try:
            db.upgrade()
            yield Users(db=db)
        finally:
            db.close()


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
)


@click.group()
def user() -> None:
    """Add, list, change and delete users.

    Users are for clients that come over REST with a name and a password; inside JupyterLab,
    Jupyter's own identity is used. The commands work before a server has ever run.
    """


@user.command()
@click.argument("name")
@click.option("--superuser", is_flag=True, help="Sees and changes everybody's things.")
@click.option("--email", default="", help="E-mail address.")
@STDIN
def add(name: str, superuser: bool, email: str, password_stdin: bool) -> None:
    """Add a user."""
    password = _password(password_stdin)
    if not email and superuser:
        email = load_settings().email
    with _users() as users:
        asyncio.run(users.add(name=name, password=password, email=email, is_superuser=superuser))
    click.echo(f"Added {'superuser' if superuser else 'user'} {name}.")


@user.command("list")
def list_users() -> None:
    """List the users."""
    with _users() as users:
        known = asyncio.run(users.list())
    if not known:
        click.echo("There are no users. Add one with `datarun user add NAME`.")
    for one in known:
        since = datetime.fromtimestamp(one.created).strftime("%Y-%m-%d")
        kind = "superuser" if one.is_superuser else "user"
        click.echo("\t".join((one.name, kind, one.email or "-", since)))


@user.command()
@click.argument("name")
@STDIN
def passwd(name: str, password_stdin: bool) -> None:
    """Change a user's password."""
    password = _password(password_stdin)
    with _users() as users:
        asyncio.run(users.set_password(name=name, password=password))
    click.echo(f"Changed the password of {name}.")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a user; datasets and submissions stay, for superusers."""
    if not yes:
        click.confirm(f"Delete the user {name}?", abort=True)
    with _users() as users:
        asyncio.run(users.delete(name=name))
    click.echo(f"Deleted {name}.")
