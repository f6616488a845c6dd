"""HTTP to the server: one keep-alive session for each thread, and errors in the client's terms."""

from __future__ import annotations

import base64
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from datarun_ext.client.discovery import Server
from datarun_ext.client.errors import ClientError, NotConnected, NotDatarun, http_error

CONNECT_S = 5.0
PAGE = 500

M = TypeVar("M", bound=BaseModel)


class _HeaderAuth(AuthBase):
    """Sets the Authorization header so that neither a netrc file nor a redirect replaces it."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._header:
            request.headers["Authorization"] = self._header
        return request


class Transport:
    """Sends requests to one server.

    Parameters
    ----------
    server : Server
    timeout : float
        Seconds to wait for each answer.
    verify : bool or str
        Whether, or with which CA file, an https server is checked.
    """

    def __init__(self, server: Server, *, timeout: float, verify: bool | str = True) -> None:
        self.server = server
        self.timeout = timeout
        self.verify = verify
        self._local = threading.local()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()

    @property
    def authorization(self) -> str:
        """The header that says who one is; "" for nobody."""
        if self.server.token:
            return f"token {self.server.token}"
        if self.server.username:
            pair = f"{self.server.username}:{self.server.password}".encode()
            return "Basic " + base64.b64encode(pair).decode("ascii")
        return ""

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, where no proxy is ever right."""
        return urlsplit(self.server.url).hostname in ("127.0.0.1", "localhost", "::1")

    def url(self, path: str) -> str:
        """Return the address of a path below the server's base_url."""
        return self.server.url + path

    def get(self, path: str, **params: object) -> Any:
        """Return the JSON at a path."""
        return self.send("GET", path, params=params)[0]

    def post(self, path: str, body: Mapping[str, Any] | None = None, **params: object) -> Any:
        """Send JSON and return the JSON that comes back."""
        return self.send("POST", path, params=params, json=dict(body or {}))[0]

    def delete(self, path: str) -> None:
        """Delete what is at a path."""
        self.send("DELETE", path)

    def pages(self, path: str, *, limit: int | None, **params: object) -> Iterator[Any]:
        """Yield the members of a list, asking for a page at a time."""
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            query = {**params, "limit": size, "cursor": cursor}
            members, headers = self.send("GET", path, params=query)
            yield from members
            left = None if left is None else left - len(members)
            cursor = headers.get("X-Next-Cursor")
            if not cursor or not members:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        data: bytes | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """Send a request; return the JSON of the answer (None for an empty one) and its headers.

        Raises
        ------
        DatarunHTTPError
            If the server refuses it.
        NotConnected
            If the server does not answer.
        """
        response = self.raw(method, path, params=params, json=json, data=data)
        if response.status_code == 204:
            return None, response.headers
        return self._json(response, f"{method} {path}"), response.headers

    def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        data: bytes | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send a request and return the answer itself when it is a good one."""
        url = self.url(path)
        query = {k: str(v) for k, v in (params or {}).items() if v is not None}
        try:
            response = self._session().request(
                method,
                url,
                params=query,
                json=json,
                data=data,
                headers={"Content-Type": "application/octet-stream"} if data is not None else None,
                timeout=(CONNECT_S, self.timeout),
                # A redirected POST would arrive as a GET; only reading may follow.
                allow_redirects=method == "GET",
                verify=self.verify,
                stream=stream,
            )
        except requests.RequestException as error:
            raise NotConnected(_why(self.server, error)) from error
        if not response.ok or response.is_redirect:
            body = self._json(response, f"{method} {path}")
            raise http_error(response.status_code, body, request=f"{method} {path}")
        return response

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.auth = _HeaderAuth(self.authorization)
            session.headers["Accept"] = "application/json"
            session.trust_env = not self.is_local
            retry = Retry(
                total=3,
                status_forcelist=(502, 503, 504),
                allowed_methods=("GET", "HEAD"),
                backoff_factor=0.1,
                raise_on_status=False,
            )
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            self._local.session = session
            self._sessions.add(session)
        return session

    def _json(self, response: requests.Response, request: str) -> Any:
        kind = response.headers.get("Content-Type", "")
        try:
            if "json" in kind:
                return response.json()
        except requests.JSONDecodeError:
            pass
        if response.status_code in (401, 403):
            return {"detail": "The server does not know who you are. Check token or password."}
        where = f"{request} at {self.server.url} (HTTP {response.status_code}"
        msg = (
            f"{where}, {kind or 'no content type'}): this is no answer of datarun. Is the datarun "
            "extension enabled on that server (`jupyter server extension list`), and is the "
            "address right, with its base_url?"
        )
        raise NotDatarun(msg)

    def close(self) -> None:
        """Close all connections."""
        for session in list(self._sessions):
            session.close()


def parse(model: type[M], answer: object) -> M:
    """Return a server's answer as an object.

    Raises
    ------
    ClientError
        If it has not the expected fields, because the server's version is another.
    """
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        msg = (
            f"The server's {model.__name__} cannot be read ({what}): client and server are of "
            "different versions. Install the same version of datarun on both."
        )
        raise ClientError(msg) from error


def _why(server: Server, error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"{server.url} has a certificate that is not trusted: {error}. Give its CA file with "
            "Client(..., verify='/path/ca.pem')."
        )
    if isinstance(error, requests.ReadTimeout):
        return f"{server.url} did not answer in time: {error}. Try again with a longer timeout."
    return (
        f"No connection to {server.url} ({server.origin}): {error}. Check that the server runs "
        "and that the address is right."
    )
