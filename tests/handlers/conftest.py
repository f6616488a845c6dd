from __future__ import annotations

from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers import contract
from tests.handlers.over_http import HttpRunner

fetch = Api.fetch


@pytest.fixture(autouse=True)
def answers_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare every answer that a test gets with the OpenAPI file."""

    async def checked(
        self: Api, method: str, path: str, body: bytes | None = None, **options: Any
    ) -> HTTPResponse:
        response = await fetch(self, method, path, body, **options)
        contract.check(method, path, response)
        return response

    monkeypatch.setattr(Api, "fetch", checked)


@pytest.fixture
def runner(api: Api, master: Master) -> HttpRunner:
    """A runner that is not registered yet."""
    return HttpRunner.of(api, master)
