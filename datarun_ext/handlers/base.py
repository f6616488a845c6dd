"""Who asks, how errors are answered, how JSON is read and written: the same for every handler."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider, User
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from pydantic import BaseModel
from tornado import web

from datarun_ext.errors import (
    DatarunError,
    Forbidden,
    InvalidField,
    NotAuthenticated,
    Unavailable,
)
from datarun_ext.handlers.answers import View
from datarun_ext.handlers.parse import check, parse
from datarun_ext.services.master import Master
from datarun_ext.services.principal import LOCAL_USER, Principal

log = logging.getLogger("datarun.http")

M = TypeVar("M", bound=BaseModel)
RESOURCE = "datarun"
ACTIONS = {"GET": "read", "HEAD": "read", "OPTIONS": "read"}
LARGE_BODY = 256 * 1024


class Identified(JupyterHandler):
    """Finds out who asks, before any verb runs.

    From outside comes a name and a password of datarun's own users (HTTP Basic), which no browser
    page can send unasked, so such a request needs no XSRF token. From inside comes Jupyter's own
    identity, with Jupyter's own checks and authorizer.
    """

    auth_resource = RESOURCE
    principal: Principal

    def initialize(self, master: Master) -> None:
        """Take the services."""
        self.master = master

    async def identify(self, proceed: Callable[[], Awaitable[None]]) -> None:
        """Set `principal`, then `proceed` with Jupyter's own preparation where it applies."""
        await self._up()
        given = self._basic()
        if given is not None:
            self._refuse_foreign_page()
            self.principal = await self.master.users.authenticate(
                name=given[0], password=given[1], address=self.request.remote_ip or ""
            )
            self.current_user = self._jupyter_current_user = User(username=self.principal.name)
            self.set_cors_headers()
            return
        user = await ensure_async(self.identity_provider.get_user(self))
        if user is None:
            raise NotAuthenticated
        self._jupyter_current_user = user
        await proceed()
        action = ACTIONS.get(self.request.method or "", "write")
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            action = "execute"
        if not await ensure_async(
            self.authorizer.is_authorized(self, user, action, self.auth_resource)
        ):
            msg = f"User {user.username!r} may not {action} {self.auth_resource} on this server."
            raise Forbidden(msg)
        self.principal = self._of_jupyter(user)

    async def _up(self) -> None:
        try:
            await self.master.started()
        except DatarunError:
            raise
        except Exception as error:
            log.error("datarun cannot start: %s", error)
            msg = f"datarun cannot start: {error}"
            raise Unavailable(msg) from error

    def _of_jupyter(self, user: User) -> Principal:
        if type(self.identity_provider) in (IdentityProvider, PasswordIdentityProvider):
            # Whoever may use a server of one person may do there what that person may.
            return Principal(LOCAL_USER, is_superuser=True)
        return Principal(user.username)

    def _basic(self) -> tuple[str, str] | None:
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            msg = "Invalid basic header. Credentials not correctly base64 encoded."
            raise NotAuthenticated(msg) from error
        if not colon:
            msg = "Invalid basic header. No credentials provided."
            raise NotAuthenticated(msg)
        return name, password

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a client's mistake in one line, and a fault of ours with its traceback."""
        if isinstance(value, DatarunError):
            log.info("%s %s: %s", self.request.method, self.request.path, value.message)
        else:
            super().log_exception(typ, value, tb)

    def _refuse_foreign_page(self) -> None:
        """A browser sends remembered credentials for any page that asks."""
        headers = self.request.headers
        origin = headers.get("Origin")
        foreign = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if origin is not None and urlsplit(origin).netloc != headers.get("Host"):
            foreign = True
        if foreign:
            msg = "A page of another site may not use a password that the browser remembers."
            raise Forbidden(msg)


class DatarunHandler(Identified, APIHandler):
    """Base of the REST handlers: verbs call one service and finish; they catch nothing."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks; a look is no activity that keeps a server alive."""
        self._track_activity = self.request.method not in ("GET", "HEAD")
        await self.identify(super().prepare)

    async def body(self, model: type[M]) -> M:
        """Return the request's JSON, checked; a large one does not hold up the event loop."""
        if len(self.request.body) < LARGE_BODY:
            return parse(model, self.request.body)
        return await asyncio.to_thread(parse, model, self.request.body)

    def query(self, model: type[M]) -> M:
        """Return the request's query arguments, checked."""
        return check(model, {name: self.get_query_argument(name) for name in self._query_names()})

    @property
    def view(self) -> View:
        """How much of each object is wanted."""
        text = self.get_query_argument("view", View.WIRE)
        if text not in list(View):
            raise InvalidField("view", f'"{text}" is not a valid choice: {", ".join(View)}.')
        return View(text)

    def answer(self, data: object, status: int = 200) -> None:
        """Finish with compact JSON."""
        self.set_status(status)
        self.finish(_dump(data))

    async def answer_large(self, data: object, status: int = 200) -> None:
        """Finish with JSON that is made in a thread."""
        text = await asyncio.to_thread(_dump, data)
        self.set_status(status)
        self.finish(text)

    def answer_nothing(self) -> None:
        """Finish without a body."""
        self.set_status(204)
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Finish with what went wrong, as datarun 0.4 words it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, DatarunError):
            self.set_status(error.status)
            if error.status == Unavailable.status:
                self.set_header("Retry-After", "5")
            data = error.body()
        elif status_code == 405:
            data = {"detail": f'Method "{self.request.method}" not allowed.'}
        elif isinstance(error, web.HTTPError) and error.log_message:
            data = {"detail": error.log_message.replace("%%", "%")}
        elif status_code >= 500:
            data = {"detail": "The server met an error of its own; its log says which."}
        else:
            data = {"detail": self._reason}
        self.answer(data, self.get_status())

    def _query_names(self) -> list[str]:
        return list(self.request.query_arguments)


def _dump(data: object) -> bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


class RedirectToSlash(DatarunHandler):
    """Sends a URL without its trailing slash to the one with it."""

    @web.authenticated
    def get(self, *_groups: str) -> None:
        """Redirect; other verbs keep their body."""
        query = f"?{self.request.query}" if self.request.query else ""
        status = 301 if self.request.method in ("GET", "HEAD") else 308
        self.redirect(f"{self.request.path}/{query}", status=status)

    post = put = delete = patch = head = get
