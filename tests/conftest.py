"""Fixtures for every folder: a real Jupyter server with datarun in it, and clients of it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from traitlets.config import Config

from datarun_ext.app import DatarunApp
from datarun_ext.services.master import Master
from tests.live.conftest import LiveServer

pytest_plugins = ("pytest_jupyter.jupyter_server",)

PASSWORD = "correct horse"
RUNNER_TOKEN = "the runners' secret"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One real server, with its own Redis and runner, for all folders: harm it not.

    What a test makes on it has a name that no other test takes.
    """
    server = LiveServer(tmp_path_factory.mktemp("shared"), base_url="/user/me%40here/").start()
    end = time.monotonic() + 120
    with server.client() as client:
        while not client.health().slots:
            assert time.monotonic() < end, server.log()
            time.sleep(0.1)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def jp_server_cleanup(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stop the server after tests that started one; pytest-jupyter makes one to stop for all."""
    yield
    if not ServerApp.initialized():
        return
    app = ServerApp.instance()
    request.getfixturevalue("jp_asyncio_loop").run_until_complete(app._cleanup())
    if hasattr(app, "kernel_manager"):
        app.kernel_manager.context.destroy()
    ServerApp.clear_instance()


@pytest.fixture
def datarun_config(tmp_path: Path) -> dict[str, Any]:
    """Options of datarun; tests change them before the server starts."""
    return {
        "data_dir": str(tmp_path / "data"),
        "runtime_dir": str(tmp_path / "run"),
        "local_runner": False,
        "runner_token": RUNNER_TOKEN,
    }


@pytest.fixture
def jp_server_config(datarun_config: dict[str, Any]) -> Config:
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"datarun_ext": True, "jupyter_server_terminals": False},
                "allow_unauthenticated_access": False,
                "reraise_server_extension_failures": True,
            },
            "DatarunApp": datarun_config,
        }
    )


@dataclass
class Api:
    """Asks the server and never raises: (status, parsed JSON)."""

    client: AsyncHTTPClient
    base_url: str
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(
        self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """Send `body` as JSON."""
        data = None if body is None else json.dumps(body).encode()
        response = await self.fetch(method, path, data, params=params)
        return response.code, json.loads(response.body) if response.body else None

    async def fetch(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> HTTPResponse:
        """Send raw bytes; return the whole response."""
        query = f"?{urlencode(params)}" if params else ""
        response: HTTPResponse = await self.client.fetch(
            f"{self.base_url}{path}{query}",
            method=method,
            body=body if body is not None or method not in ("POST", "PUT", "PATCH") else b"",
            headers={**self.headers, **(headers or {})},
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=60,
            **options,
        )
        return response

    def as_basic(self, name: str, password: str = PASSWORD) -> Api:
        """Return a client that comes with a name and a password."""
        return Api(self.client, self.base_url, basic(name, password))

    def with_headers(self, **headers: str) -> Api:
        """Return a client with nothing but these headers."""
        return Api(self.client, self.base_url, headers)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """Return the header of HTTP Basic."""
    value = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


@pytest.fixture
def master(jp_serverapp: ServerApp) -> Master:
    """The services of the running server."""
    (app,) = jp_serverapp.extension_manager.extension_apps["datarun_ext"]
    assert isinstance(app, DatarunApp)
    assert app.master is not None
    return app.master


@pytest.fixture
def api(
    jp_serverapp: ServerApp,
    http_server_client: AsyncHTTPClient,
    jp_auth_header: dict[str, str],
    jp_base_url: str,
) -> Api:
    """A client with Jupyter's token: the server's own person, who may do everything."""
    return Api(http_server_client, jp_base_url, dict(jp_auth_header))


NewUser = Callable[..., Awaitable[Api]]


@pytest.fixture
def new_user(api: Api, master: Master) -> NewUser:
    """Make a datarun user and return their client."""

    async def make(name: str, *, is_superuser: bool = False) -> Api:
        await master.started()
        await master.users.add(name=name, password=PASSWORD, is_superuser=is_superuser)
        return api.as_basic(name)

    return make
