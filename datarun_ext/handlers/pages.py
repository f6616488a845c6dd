"""Pages for a browser: the API documentation, and the administration of users and data."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from jupyter_server.utils import url_path_join
from tornado import web

import datarun_ext.schemas
from datarun_ext.errors import DatarunError, Forbidden, NotAuthenticated, NotFound
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.schemas.page import render_docs

SPEC = Path(datarun_ext.schemas.__file__).with_name("openapi.yaml")
STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #8884}
form{display:inline}fieldset{border:1px solid #8884;border-radius:6px;margin:1rem 0}
label{margin-right:1rem}.error{color:#c33}
@media(max-width:40rem){table{display:block;overflow-x:auto}}
"""


class PageHandler(DatarunHandler):
    """Base of the pages. They need no script and nothing from elsewhere."""

    @property
    def content_security_policy(self) -> str:
        """Styles inside the page, forms to this server, nothing else."""
        return (
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'self'"
        )

    def page(self, text: str) -> None:
        """Finish with a page."""
        self.finish(text, set_content_type="text/html; charset=UTF-8")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Ask a browser for a name and a password where a program gets 403."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        asks_page = "text/html" in self.request.headers.get("Accept", "")
        if isinstance(error, NotAuthenticated) and asks_page:
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="datarun", charset="UTF-8"')
            self.page("<!doctype html><title>datarun</title><p>Log in with a datarun user.</p>")
            return
        super().write_error(status_code, **kwargs)


class Docs(PageHandler):
    """The API documentation."""

    @web.authenticated
    async def get(self) -> None:
        """Show it."""
        spec = yaml.safe_load(await asyncio.to_thread(SPEC.read_text, "utf-8"))
        self.page(render_docs(self.base_url, spec))


class OpenApi(DatarunHandler):
    """The API in machine-readable form."""

    @web.authenticated
    async def get(self) -> None:
        """Send the OpenAPI file."""
        text = await asyncio.to_thread(SPEC.read_bytes)
        self.finish(text, set_content_type="application/yaml")


class Admin(PageHandler):
    """Users and data, for superusers."""

    @web.authenticated
    async def get(self) -> None:
        """Show them."""
        await self.show()

    @web.authenticated
    async def post(self) -> None:
        """Do what a form asks, then show the page again."""
        self.check_superuser()
        action = self.get_body_argument("action", "")
        error = ""
        try:
            await self.act(action)
        except DatarunError as found:
            error = found.message
        await self.show(error)

    async def act(self, action: str) -> None:
        """Carry out one form."""
        users, text = self.master.users, self.get_body_argument
        if action == "add":
            await users.add(
                name=text("name"),
                password=text("password", strip=False),
                email=text("email", ""),
                is_superuser=text("superuser", "") == "on",
            )
        elif action == "password":
            await users.set_password(name=text("name"), password=text("password", strip=False))
        elif action == "delete":
            await users.delete(name=text("name"))
        elif action == "delete_dataset":
            if not re.fullmatch("[0-9]{1,16}", text("id")):
                raise NotFound
            await self.master.datasets.delete(who=self.principal, raw_data_id=int(text("id")))
        else:
            msg = f"There is no action {action!r}."
            raise NotFound(msg)

    def check_superuser(self) -> None:
        """Raise Forbidden for everybody else."""
        if not self.principal.is_superuser:
            msg = "Only a superuser may see this page."
            raise Forbidden(msg)

    async def show(self, error: str = "") -> None:
        """Finish with the page."""
        self.check_superuser()
        users = [
            (user.name, user.email, "yes" if user.is_superuser else "", self.user_forms(user.name))
            for user in await self.master.users.list()
        ]
        found = await self.master.datasets.list(who=self.principal)
        counts = await self.master.datasets.counts(raw_data_ids=[item.id for item in found])
        datasets = [
            (
                item.id,
                item.name,
                item.owner,
                item.split_state,
                sum(counts[item.id].values()),
                self.form("delete_dataset", "Delete with its folds", id=str(item.id)),
            )
            for item in found
        ]
        add = (
            '<label>Name <input name="name" required></label>'
            '<label>Password <input name="password" type="password" required></label>'
            '<label>E-mail <input name="email" type="email"></label>'
            '<label><input name="superuser" type="checkbox"> superuser</label>'
        )
        shown = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
        docs = html.escape(url_path_join(self.base_url, "docs/"))
        self.page(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>datarun admin</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
            f'<h1>datarun administration</h1><p><a href="{docs}">API documentation</a></p>{shown}'
            f"<h2>Users</h2>{table(('Name', 'E-mail', 'Superuser', ''), users)}"
            f"<fieldset><legend>Add a user</legend>{self.form('add', 'Add', add)}</fieldset>"
            "<h2>Datasets</h2>"
            f"{table(('Id', 'Name', 'Owner', 'Split', 'Folds', ''), datasets)}</html>"
        )

    def user_forms(self, name: str) -> Markup:
        """Return the forms of one user."""
        password = '<input name="password" type="password" aria-label="New password" required>'
        return Markup(
            self.form("password", "Change password", password, name=name)
            + " "
            + self.form("delete", "Delete", name=name)
        )

    def form(self, action: str, button: str, inside: str = "", **hidden: str) -> Markup:
        """Return a form with one button."""
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
            for name, value in {"action": action, **hidden}.items()
        )
        return Markup(
            f'<form method="post">{self.xsrf_form_html()}{fields}{inside}'
            f"<button>{html.escape(button)}</button></form>"
        )


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return an HTML table; every cell that is no `Markup` is escaped."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{cell if isinstance(cell, Markup) else html.escape(str(cell))}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
