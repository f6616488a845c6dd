"""Big files in pieces: resumed, cut, wrong, somebody else's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from datarun_ext.services import uploads
from datarun_ext.services.master import Master
from tests.conftest import Api, NewUser
from tests.handlers.things import created, dataset, stored

DATA = bytes(range(256)) * 1000
SHA = hashlib.sha256(DATA).hexdigest()


async def begin(api: Api, **changes: Any) -> str:
    body = {"name": "big.csv", "size": len(DATA), "sha256": SHA, **changes}
    made = await created(api, "runapp/upload/", body)
    assert (made["offset"], made["complete"]) == (0, False)
    return str(made["id"])


async def put(api: Api, upload_id: str, offset: int, data: bytes) -> int:
    response = await api.fetch(
        "PUT", f"runapp/upload/{upload_id}/", data, params={"offset": offset}
    )
    return response.code


async def state(api: Api, upload_id: str) -> dict[str, Any]:
    status, answer = await api("GET", f"runapp/upload/{upload_id}/")
    assert status == 200
    return dict(answer)


async def test_in_pieces_then_as_a_dataset(api: Api, master: Master) -> None:
    upload_id = await begin(api)
    for start in range(0, len(DATA), 100_000):
        assert (await state(api, upload_id))["offset"] == start
        assert await put(api, upload_id, start, DATA[start : start + 100_000]) == 200
    whole = await state(api, upload_id)
    assert whole == {
        "id": upload_id,
        "name": "big.csv",
        "size": len(DATA),
        "offset": len(DATA),
        "complete": True,
        "sha256": SHA,
    }
    body = dataset(files=..., uploads={"big.csv": upload_id})
    made = await created(api, "runapp/rawdata/", body)
    assert (Path(made["files_path"]) / "iris.csv").read_bytes() == DATA
    assert list(master.settings.upload_dir.iterdir()) == []
    status, answer = await api("POST", "runapp/rawdata/", {**body, "name": "again"})
    assert (status, list(answer)) == (400, ["uploads"])


async def test_what_does_not_fit_is_refused_and_can_go_on(api: Api) -> None:
    upload_id = await begin(api)
    assert await put(api, upload_id, 5, b"x") == 409
    assert await put(api, upload_id, 0, DATA[:1000]) == 200
    assert await put(api, upload_id, 0, DATA[:1000]) == 409
    assert await put(api, upload_id, 1000, DATA + b"x") == 413
    unfinished = dataset(files=..., uploads={"a.csv": upload_id})
    status, answer = await api("POST", "runapp/rawdata/", unfinished)
    assert status == 400
    assert f"1000 of {len(DATA)}" in answer["uploads"][0]
    for offset in ("-1", "x"):
        response = await api.fetch(
            "PUT", f"runapp/upload/{upload_id}/", b"x", params={"offset": offset}
        )
        assert response.code == 400
    assert (await state(api, upload_id))["offset"] == 1000
    assert await put(api, upload_id, 1000, DATA[1000:]) == 200
    assert (await state(api, upload_id))["complete"] is True
    assert await put(api, upload_id, len(DATA), b"x") == 409


async def test_wrong_content_is_given_up(api: Api, master: Master) -> None:
    await api("GET", "runapp/rawdata/")
    before = await stored(master)
    upload_id = await begin(api)
    response = await api.fetch("PUT", f"runapp/upload/{upload_id}/", b"x" * len(DATA))
    assert response.code == 400
    assert SHA.encode() in response.body
    assert (await api("GET", f"runapp/upload/{upload_id}/"))[0] == 404
    assert await stored(master) == before


async def test_an_empty_file(api: Api) -> None:
    upload_id = await begin(api, size=0, sha256="")
    assert await put(api, upload_id, 0, b"") == 200
    assert (await state(api, upload_id))["complete"] is True


async def test_a_cut_connection_leaves_what_came_and_room_to_resume(
    api: Api, http_server_client: Any, jp_base_url: str
) -> None:
    upload_id = await begin(api)
    server = urlsplit(http_server_client.get_url(""))
    head = (
        f"PUT {jp_base_url}runapp/upload/{upload_id}/?offset=0 HTTP/1.1\r\n"
        f"Host: {server.netloc}\r\nAuthorization: {api.headers['Authorization']}\r\n"
        f"Content-Length: {len(DATA)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    writer.write(head + DATA[:100_000])
    await writer.drain()
    while (await state(api, upload_id))["offset"] == 0:
        await asyncio.sleep(0.01)
    # While that one is at it, nobody else may write.
    assert await put(api, upload_id, (await state(api, upload_id))["offset"], b"x") == 409
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    )
    writer.close()  # with a reset, as a machine that is switched off
    status = 409
    while status == 409:
        offset = (await state(api, upload_id))["offset"]
        status = await put(api, upload_id, offset, DATA[offset:])
        await asyncio.sleep(0.01)
    assert status == 200
    assert (await state(api, upload_id))["complete"] is True
    del reader


async def test_given_up_and_forgotten(
    api: Api, new_user: NewUser, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await new_user("alice")
    before = await stored(master)
    upload_id = await begin(alice)
    assert await put(alice, upload_id, 0, DATA[:10]) == 200
    assert (await alice.fetch("DELETE", f"runapp/upload/{upload_id}/")).code == 204
    assert await stored(master) == before

    old, fresh = await begin(alice), await begin(alice)
    monkeypatch.setattr(uploads, "now", lambda: __import__("time").time() + 25 * 3600)
    os.utime(master.settings.upload_dir / f"{fresh}.part", (2**33, 2**33))
    await master.uploads.collect()
    assert (await alice("GET", f"runapp/upload/{old}/"))[0] == 404
    assert (await alice("GET", f"runapp/upload/{fresh}/"))[0] == 200
