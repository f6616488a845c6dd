"""Who may do what: users, tokens, cookies, foreign pages, the authorizer."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from jupyter_server.auth import Authorizer
from jupyter_server.serverapp import ServerApp

from datarun_ext.handlers.runner import RunnerHandler
from datarun_ext.routes import FILES, PUBLIC, RUNNERS
from datarun_ext.services.master import Master
from tests.conftest import PASSWORD, RUNNER_TOKEN, Api, NewUser
from tests.handlers.over_http import HttpRunner, registration
from tests.handlers.things import created, dataset, fold, stored

NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
WRONG = {"detail": "Invalid username/password."}
VERBS = ("GET", "POST", "PUT", "DELETE")


def example(pattern: str) -> str:
    """Return a path that a pattern matches."""
    for group, value in (
        (r"(\d{1,16})", "1"),
        (r"([^/]+)", "a.csv"),
        (r"([0-9A-Za-z-]+)", "abc"),
        (r"(fold|split|preflight)", "fold"),
        (r"([0-9a-f]{64})", "0" * 64),
    ):
        pattern = pattern.replace(group, value)
    assert "(" not in pattern
    return pattern


async def test_every_route_asks_who_it_is(api: Api, master: Master, new_user: NewUser) -> None:
    await new_user("alice")
    before = await stored(master)
    nobody = api.with_headers()
    for pattern, handler in PUBLIC + FILES:
        path = example(pattern)
        for method in VERBS:
            for client, expected in (
                (nobody, NO_CREDENTIALS),
                (api.with_headers(Authorization="token wrong"), NO_CREDENTIALS),
                (api.with_headers(Authorization=f"Bearer {RUNNER_TOKEN}"), NO_CREDENTIALS),
            ):
                response = await client.fetch(method, path)
                assert response.code == 403, (method, path)
                assert json.loads(response.body) == expected, (method, path, handler)
    for pattern, handler in RUNNERS:
        assert issubclass(handler, RunnerHandler)
        path = example(pattern)
        for method in VERBS:
            for client in (nobody, api, api.as_basic("alice"), wrong_runner(api)):
                assert (await client.fetch(method, path)).code == 403, (method, path)
    assert await stored(master) == before


def wrong_runner(api: Api) -> Api:
    return api.with_headers(**{"Authorization": "Bearer wrong", "X-Datarun-Protocol": "1"})


async def test_basic_users(api: Api, new_user: NewUser) -> None:
    alice = await new_user("alice")
    assert await alice("GET", "runapp/user/me/") == (200, {"name": "alice", "is_superuser": False})
    root = await new_user("root", is_superuser=True)
    assert (await root("GET", "runapp/user/me/"))[1]["is_superuser"] is True
    for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("a\0lice", PASSWORD)):
        answer = await api.as_basic(name, password)("GET", "runapp/rawdata/")
        assert answer == (403, WRONG)
    for header in ("Basic", "Basic !", "Basic YWI=", "Basic /w=="):
        status, answer = await api.with_headers(Authorization=header)("GET", "runapp/rawdata/")
        assert status == 403
        assert answer["detail"].startswith("Invalid basic header.")


async def test_many_wrong_passwords(api: Api, new_user: NewUser) -> None:
    alice = await new_user("alice")
    await new_user("bob")
    mallory = api.as_basic("alice", "guess")
    statuses = [(await mallory("GET", "runapp/rawdata/"))[0] for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    assert (await api.as_basic("bob")("GET", "runapp/rawdata/"))[0] == 200
    assert (await alice("GET", "runapp/rawdata/"))[0] == 429


async def test_others_things_are_not_there(
    api: Api, new_user: NewUser, runner: HttpRunner, master: Master
) -> None:
    alice, bob = await new_user("alice"), await new_user("bob")
    root = await new_user("root", is_superuser=True)
    await created(alice, "runapp/rawdata/", dataset())
    made = await created(alice, "runapp/submissionfold/", fold())
    upload = await created(alice, "runapp/upload/", {"name": "a.csv", "size": 3})
    _, split = await alice("POST", "runapp/rawdata/split/", {"raw_data_id": 1, "held_out_test": 5})
    before = await stored(master)
    nothing = (404, {"detail": "Not found."})
    for method, path, body in (
        ("GET", "rawdata/1/", None),
        ("DELETE", "rawdata/1/", None),
        ("GET", "rawdata/1/preview/", None),
        ("GET", "rawdata/1/file/iris.csv/", None),
        ("POST", "rawdata/split/", {"raw_data_id": 1, "held_out_test": 5}),
        ("GET", "submission/1/", None),
        ("DELETE", "submission/1/", None),
        ("GET", "submission/1/file/classifier.py/", None),
        ("POST", "submission/1/cancel/", None),
        ("POST", "submission/1/rerun/", {}),
        ("POST", "submission/1/priority/", {"priority": "H"}),
        ("GET", "submissionfold/11/", None),
        ("DELETE", "submissionfold/11/", None),
        ("GET", "submissionfold/11/log/", None),
        ("POST", "submissionfold/11/cancel/", None),
        ("POST", "submissionfold/11/rerun/", None),
        ("POST", "submissionfold/11/priority/", {"priority": "H"}),
        ("GET", f"task/{split['task_id']}/", None),
        ("GET", f"task/{made['task_id']}/", None) if made["task_id"] else ("GET", "task/x/", None),
        ("GET", f"upload/{upload['id']}/", None),
        ("PUT", f"upload/{upload['id']}/", None),
        ("DELETE", f"upload/{upload['id']}/", None),
        ("POST", "submissionfold/", fold(12, 2)),
        ("POST", "submission/", {"raw_data": 1, "files": {"c.py": "x"}, "cv": {}}),
    ):
        assert await bob(method, f"runapp/{path}", body) == nothing, (method, path)
    for path in ("rawdata/", "submission/", "submissionfold/", "submissionfold-light/"):
        assert await bob("GET", f"runapp/{path}") == (200, [])
        assert len((await root("GET", f"runapp/{path}"))[1]) == 1
    lists = await bob("POST", "runapp/testpredictions/list/", {"list_submission_fold": [11]})
    assert lists == (200, [])
    for body in (fold(12, 1), fold(11, 1, force="submission, submission_fold")):
        status, answer = await bob("POST", "runapp/submissionfold/", body)
        assert (status, list(answer)) == (400, ["databoard_s_id"])
    taken = dataset("theirs", files=..., uploads={"a.csv": upload["id"]})
    assert (await bob("POST", "runapp/rawdata/", taken))[1] == {
        "uploads": [f"There is no upload {upload['id']!r}."]
    }
    assert {**await stored(master), "event": 0} == {**before, "event": 0}
    assert (await root("GET", "runapp/submissionfold/11/"))[0] == 200


async def test_bobs_own_submission_cannot_take_alices_fold(api: Api, new_user: NewUser) -> None:
    alice, bob = await new_user("alice"), await new_user("bob")
    await created(alice, "runapp/rawdata/", dataset())
    await created(alice, "runapp/submissionfold/", fold(11, 1))
    await created(bob, "runapp/rawdata/", dataset("bobs"))
    body = fold(11, 2, raw_data=2, force="submission, submission_fold")
    status, answer = await bob("POST", "runapp/submissionfold/", body)
    assert (status, list(answer)) == (400, ["databoard_sf_id"])
    assert (await alice("GET", "runapp/submissionfold/11/"))[0] == 200


async def test_foreign_pages_cannot_use_a_remembered_password(
    api: Api, new_user: NewUser, master: Master
) -> None:
    alice = await new_user("alice")
    before = await stored(master)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        response = await alice.fetch(
            "POST", "runapp/rawdata/", json.dumps(dataset()).encode(), headers=headers
        )
        assert response.code == 403, headers
    assert await stored(master) == before
    # A program, and a page of this very server.
    await created(alice, "runapp/rawdata/", dataset())
    host = alice.client.get_url("").removeprefix("http://")  # type: ignore[attr-defined]
    response = await alice.fetch("GET", "runapp/rawdata/", headers={"Origin": f"http://{host}"})
    assert response.code == 200


async def cookie_client(jp_serverapp: ServerApp, api: Api) -> Api:
    """Log in as a browser does."""
    token = jp_serverapp.identity_provider.token
    response = await api.with_headers().fetch("GET", "api", params={"token": token})
    login = await api.with_headers().fetch(
        "GET", "login", params={"token": token}, follow_redirects=False
    )
    cookies = [
        value.partition(";")[0]
        for answer in (response, login)
        for value in answer.headers.get_list("Set-Cookie")
    ]
    return api.with_headers(Cookie="; ".join(cookies))


async def test_a_cookie_alone_changes_nothing(
    jp_serverapp: ServerApp, api: Api, master: Master
) -> None:
    browser = await cookie_client(jp_serverapp, api)
    assert (await browser("GET", "runapp/rawdata/"))[0] == 200
    before = await stored(master)
    for method, path, body in (
        ("POST", "runapp/rawdata/", dataset()),
        ("DELETE", "runapp/rawdata/1/", None),
        ("POST", "runapp/upload/", {"name": "a", "size": 1}),
        ("PUT", "runapp/upload/abc/", None),
        ("POST", "admin/", None),
    ):
        status, answer = await browser(method, path, body)
        assert status == 403, path
        assert "_xsrf" in answer["detail"], path
    assert await stored(master) == before
    page = await browser.fetch("GET", "admin/")
    (xsrf,) = (value for value in page.headers.get_list("Set-Cookie") if value.startswith("_xsrf"))
    cookie = xsrf.partition(";")[0]
    browser.headers["Cookie"] += f"; {cookie}"
    browser.headers["X-XSRFToken"] = cookie.removeprefix("_xsrf=")
    await created(browser, "runapp/rawdata/", dataset())


class DenyAll(Authorizer):
    def is_authorized(self, *_args: Any) -> bool:
        return False


class ReadOnly(Authorizer):
    def is_authorized(self, _handler: Any, _user: Any, action: str, resource: str) -> bool:
        return action == "read" and resource == "datarun"


async def test_the_authorizer_is_asked_for_every_verb(
    jp_serverapp: ServerApp, api: Api, master: Master
) -> None:
    await api("GET", "runapp/rawdata/")
    before = await stored(master)
    jp_serverapp.web_app.settings["authorizer"] = DenyAll(parent=jp_serverapp)
    for pattern, _handler in PUBLIC + FILES:
        for method in VERBS:
            response = await api.fetch(method, example(pattern))
            assert response.code == 403, (method, pattern)
    jp_serverapp.web_app.settings["authorizer"] = ReadOnly(parent=jp_serverapp)
    assert (await api("GET", "runapp/rawdata/"))[0] == 200
    status, answer = await api("POST", "runapp/rawdata/", dataset())
    assert status == 403
    assert "may not write datarun" in answer["detail"]
    assert await stored(master) == before


async def test_admin_page(api: Api, new_user: NewUser, master: Master) -> None:
    alice = await new_user("alice")
    root = await new_user("root", is_superuser=True)
    assert (await alice("GET", "admin/"))[0] == 403
    assert (await alice("POST", "admin/"))[0] == 403
    evil = "<img src=x onerror=alert(1)>"
    await created(root, "runapp/rawdata/", dataset(evil))
    page = await root.fetch("GET", "admin/")
    assert page.code == 200
    assert evil.encode() not in page.body
    assert b"&lt;img" in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]

    async def form(**fields: str) -> tuple[int, bytes]:
        response = await root.fetch(
            "POST",
            "admin/",
            urlencode(fields).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        return response.code, response.body

    assert (await form(action="add", name="carol", password=PASSWORD))[0] == 200
    assert (await api.as_basic("carol")("GET", "runapp/rawdata/"))[0] == 200
    assert (await form(action="password", name="carol", password="another one"))[0] == 200
    assert (await api.as_basic("carol")("GET", "runapp/rawdata/"))[0] == 403
    assert (await form(action="delete", name="carol"))[0] == 200
    for fields, status, text in (
        ({"action": "add", "name": "alice", "password": PASSWORD}, 200, b"already"),
        ({"action": "add", "name": "a:b", "password": PASSWORD}, 200, b"no colon"),
        ({"action": "add", "name": "dave", "password": "x"}, 200, b"at least 4"),
        ({"action": "add", "name": "dave", "password": PASSWORD, "email": "e" * 300}, 200, b"254"),
        ({"action": "add"}, 400, b"name"),
        ({"action": "delete", "name": "nobody"}, 200, b"no user"),
        ({"action": "delete_dataset", "id": "one"}, 200, b"Not found"),
        ({"action": "explode"}, 200, b"no action"),
        ({}, 200, b"no action"),
    ):
        code, body = await form(**fields)
        assert (code, text in body) == (status, True), fields
    assert (await form(action="delete_dataset", id="1"))[0] == 200
    assert await root("GET", "runapp/rawdata/") == (200, [])
    browser = api.with_headers(Accept="text/html")
    assert (await browser.fetch("GET", "admin/")).code == 401


class TestRunnerThatFails:
    """What a runner writes tells of the machine, so only superusers read it."""

    @pytest.fixture
    def datarun_config(
        self, datarun_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        monkeypatch.setenv("DATARUN_CACHE_MB", "nonsense")
        return {**datarun_config, "local_runner": True}

    async def test_its_log(self, api: Api, new_user: NewUser) -> None:
        alice, root = await new_user("alice"), await new_user("root", is_superuser=True)
        async with asyncio.timeout(120):
            while not (problems := await runner_problems(alice)):
                await asyncio.sleep(0.1)
        assert problems == ["The runner ends as soon as it is started."]
        for superuser in (api, root):
            (problem,) = await runner_problems(superuser)
            assert problem.startswith(problems[0])
            assert "runner.log" in problem
            assert "DATARUN_CACHE_MB" in problem


async def runner_problems(client: Api) -> list[str]:
    status, health = await client("GET", "runapp/health/")
    assert status == 200
    return [item["message"] for item in health["problems"] if item["part"] == "runner"]


async def test_runner_protocol_number_and_token(api: Api, runner: HttpRunner) -> None:
    for version in ("2", "", "x"):
        old = HttpRunner.of(api, runner.master)
        old.api.headers["X-Datarun-Protocol"] = version
        status, answer = await old.post("register", registration())
        assert status == 409
        assert "same version of datarun" in answer["detail"]
    status, answer = await runner.post("register", registration(protocol=2))
    assert status == 409
    assert "speaks protocol 2" in answer["detail"]
    status, _ = await HttpRunner.of(api, runner.master, "wrong").post("register", registration())
    assert status == 403


@pytest.mark.parametrize("path", ["runapp/rawdata", "runapp/submissionfold/1", "docs"])
async def test_a_missing_slash_redirects(api: Api, jp_base_url: str, path: str) -> None:
    response = await api.fetch("GET", path, params={"a": "b"}, follow_redirects=False)
    assert response.code == 301
    assert response.headers["Location"] == f"{jp_base_url}{path}/?a=b"
    response = await api.fetch("POST", path, b"{}", follow_redirects=False)
    assert response.code == 308
