"""Answers that are no good ones, and what the client makes of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from tornado.web import RequestHandler

from datarun_ext.client import (
    Client,
    ClientError,
    Conflict,
    DatarunHTTPError,
    NotConnected,
    NotDatarun,
    NotFound,
    Refused,
    Unavailable,
)
from tests.client.faulty import FaultyServer

Reply = Callable[[RequestHandler], Awaitable[None]]


def replies(status: int, body: object, **headers: str) -> Reply:
    async def answer(handler: RequestHandler) -> None:
        handler.set_status(status)
        for name, value in headers.items():
            handler.set_header(name.replace("_", "-"), value)
        if isinstance(body, str):
            handler.finish(body)
        else:
            handler.set_header("Content-Type", "application/json")
            handler.finish(json.dumps(body))

    return answer


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"name": ["Taken.", "Too long."]}, DatarunHTTPError, "name: Taken. Too long."),
        (403, {"detail": "Invalid username/password."}, Refused, "Invalid username/password."),
        (404, {"detail": "Not found."}, NotFound, "Not found."),
        (406, {"error": "Submit a specific.py"}, DatarunHTTPError, "Submit a specific.py"),
        (409, {"detail": "It has ended."}, Conflict, "It has ended."),
        (507, {"detail": "Disk full."}, Unavailable, "Disk full."),
        (418, {}, DatarunHTTPError, "no reason"),
    ],
)
def test_refusals(
    faulty: FaultyServer,
    faulty_client: Client,
    status: int,
    body: dict[str, object],
    kind: type[DatarunHTTPError],
    text: str,
) -> None:
    faulty.answer = replies(status, body)  # type: ignore[method-assign]
    with pytest.raises(DatarunHTTPError) as caught:
        faulty_client.folds.cancel(3)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert text in str(caught.value)
    assert "POST runapp/submissionfold/3/cancel/" in str(caught.value)


def test_fields_can_be_read(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(400, {"name": ["Taken."]})  # type: ignore[method-assign]
    with pytest.raises(DatarunHTTPError) as caught:
        faulty_client.folds.get(3)
    assert caught.value.fields == {"name": ["Taken."]}


def test_a_page_is_no_answer_of_datarun(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(200, "<html>Log in</html>", Content_Type="text/html")  # type: ignore[method-assign]
    with pytest.raises(NotDatarun, match="base_url"):
        faulty_client.health()


def test_a_post_is_never_redirected(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(302, {}, Location=f"{faulty.url}else/")  # type: ignore[method-assign]
    with pytest.raises(DatarunHTTPError):
        faulty_client.submissions.cancel(1)
    assert len(faulty.requests) == 1


def test_reading_is_tried_again_while_a_proxy_says_bad_gateway(
    faulty: FaultyServer, faulty_client: Client
) -> None:
    good = replies(200, {"name": "ada", "is_superuser": False})
    bad = replies(502, {})

    async def answer(handler: RequestHandler) -> None:
        await (bad if len(faulty.requests) < 3 else good)(handler)

    faulty.answer = answer  # type: ignore[method-assign]
    assert faulty_client.me().name == "ada"
    assert len(faulty.requests) == 3


def test_changing_is_not_tried_again(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(502, {"detail": "bad gateway"})  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        faulty_client.submissions.cancel(1)
    assert len(faulty.requests) == 1


def test_another_version_is_named(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(200, {"nom": "ada"})  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="different versions"):
        faulty_client.me()


def test_fields_of_a_newer_server_are_ignored(faulty: FaultyServer, faulty_client: Client) -> None:
    faulty.answer = replies(200, {"name": "ada", "mood": "good"})  # type: ignore[method-assign]
    assert faulty_client.me().name == "ada"


def test_nobody_there() -> None:
    with pytest.raises(NotConnected, match="127.0.0.1:9"):
        Client("http://127.0.0.1:9/").me()


def test_lists_follow_their_pages(faulty: FaultyServer, faulty_client: Client) -> None:
    async def answer(handler: RequestHandler) -> None:
        first = not handler.get_query_argument("cursor", "")
        handler.set_header("Content-Type", "application/json")
        if first:
            handler.set_header("X-Next-Cursor", "after-2")
        ids = [1, 2] if first else [3]
        handler.finish(json.dumps([{"databoard_sf_id": k, "state": "TODO"} for k in ids]))

    faulty.answer = answer  # type: ignore[method-assign]
    assert [fold.id for fold in faulty_client.folds.list(state="TODO")] == [1, 2, 3]
    assert [fold.id for fold in faulty_client.folds.list(limit=2)] == [1, 2]
    assert "cursor=after-2" in faulty.requests[1][1]
    assert "state=TODO" in faulty.requests[1][1]
    assert len(faulty.requests) == 3


def test_a_netrc_file_does_not_replace_the_token(
    faulty: FaultyServer,
    faulty_client: Client,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    seen: list[str] = []

    async def answer(handler: RequestHandler) -> None:
        seen.append(handler.request.headers.get("Authorization", ""))
        handler.finish({"name": "ada"})

    faulty.answer = answer  # type: ignore[method-assign]
    faulty_client.me()
    assert seen == ["token secret"]
