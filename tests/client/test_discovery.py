"""Where a client looks for its server, in which order, and what it says when there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from datarun_ext.client import Client, ClientError, NotConnected
from datarun_ext.client.discovery import Server, find_server, normalise


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://h:8888", "http://h:8888/"),
        ("h:8888/user/ada", "http://h:8888/user/ada/"),
        ("http://h:8888/user/ada/lab/tree/x.ipynb?token=abc", "http://h:8888/user/ada/"),
        ("https://u:p@h/a%40b/runapp/rawdata/", "https://h/a%40b/"),
        (" http://[::1]:8888/ ", "http://[::1]:8888/"),
        ("http://h/labs/", "http://h/labs/"),
    ],
)
def test_addresses_as_people_paste_them(given: str, expected: str) -> None:
    assert normalise(given) == expected


@pytest.mark.parametrize("wrong", ["", "ftp://h/", "http://"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        normalise(wrong)


class Answers:
    """Stands for asking servers: only those of `alive` have datarun."""

    def __init__(self, *alive: str) -> None:
        self.alive = alive
        self.asked: list[Server] = []

    def __call__(self, server: Server) -> None:
        self.asked.append(server)
        if server.url not in self.alive:
            msg = "no datarun there"
            raise ClientError(msg)


def write_server(folder: Path, pid: int, **info: object) -> Path:
    path = folder / f"jpserver-{pid}.json"
    path.write_text(
        json.dumps({"url": f"http://127.0.0.1:{pid}/", "token": f"t{pid}", "sock": "", **info})
    )
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"JUPYTER_RUNTIME_DIR": str(tmp_path)}


def test_variables_come_first_and_are_not_asked(environ: dict[str, str], tmp_path: Path) -> None:
    write_server(tmp_path, os.getpid())
    environ |= {"DATARUN_URL": "http://far:1/x", "DATARUN_USER": "ada", "DATARUN_PASSWORD": "pw"}
    answers = Answers()
    found = find_server(answers, environ)
    assert (found.url, found.username, found.password) == ("http://far:1/x/", "ada", "pw")
    assert answers.asked == []


def test_a_kernel_finds_exactly_its_own_server(environ: dict[str, str], tmp_path: Path) -> None:
    own, other = os.getppid(), os.getpid()
    write_server(tmp_path, own)
    newer = write_server(tmp_path, other)
    os.utime(newer, (2**31, 2**31))
    environ["JPY_PARENT_PID"] = str(own)
    found = find_server(Answers(f"http://127.0.0.1:{own}/", f"http://127.0.0.1:{other}/"), environ)
    assert (found.url, found.token) == (f"http://127.0.0.1:{own}/", f"t{own}")


def test_a_hub_token_serves_a_server_without_one(environ: dict[str, str], tmp_path: Path) -> None:
    own = os.getpid()
    write_server(tmp_path, own, url="http://0.0.0.0:8888/user/ada/", token="")
    environ |= {"JPY_PARENT_PID": str(own), "JUPYTERHUB_API_TOKEN": "hub"}
    found = find_server(Answers("http://127.0.0.1:8888/user/ada/"), environ)
    assert (found.url, found.token) == ("http://127.0.0.1:8888/user/ada/", "hub")


def test_hub_without_a_file(environ: dict[str, str]) -> None:
    environ |= {
        "JUPYTERHUB_API_TOKEN": "hub",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:34567/user/ada/",
    }
    found = find_server(Answers("http://127.0.0.1:34567/user/ada/"), environ)
    assert found.token == "hub"


def test_the_newest_running_server_that_has_datarun(
    environ: dict[str, str], tmp_path: Path
) -> None:
    alive, newest_without = os.getpid(), os.getppid()
    os.utime(write_server(tmp_path, alive), (1000, 1000))
    os.utime(write_server(tmp_path, newest_without), (2000, 2000))
    os.utime(write_server(tmp_path, 2**22 + 5), (3000, 3000))  # no such process
    answers = Answers(f"http://127.0.0.1:{alive}/")
    assert find_server(answers, environ).url == f"http://127.0.0.1:{alive}/"
    assert [server.url for server in answers.asked] == [
        f"http://127.0.0.1:{newest_without}/",
        f"http://127.0.0.1:{alive}/",
    ]


def test_a_file_that_others_may_write_is_not_trusted(
    environ: dict[str, str], tmp_path: Path
) -> None:
    write_server(tmp_path, os.getpid()).chmod(0o666)
    with pytest.raises(NotConnected, match="not trusted"):
        find_server(Answers(f"http://127.0.0.1:{os.getpid()}/"), environ)


def test_what_was_tried_is_said_with_the_remedy(environ: dict[str, str], tmp_path: Path) -> None:
    write_server(tmp_path, os.getpid(), token="")
    (tmp_path / f"jpserver-{os.getppid()}.json").write_text("{broken")
    environ["JPY_PARENT_PID"] = "999999999"
    with pytest.raises(NotConnected) as caught:
        find_server(Answers(), environ)
    text = str(caught.value)
    for part in (
        "DATARUN_URL: not set",
        "JPY_PARENT_PID=999999999",
        "JUPYTERHUB_SERVICE_PREFIX",
        "no datarun there",
        "it has no token",
        f"running server {os.getppid()}",
        "jupyter datarun",
        "Client(url, token=...)",
    ):
        assert part in text


def test_half_of_the_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="url is missing"):
        Client(token="x")
    with pytest.raises(ValueError, match="not both"):
        Client("http://h/", token="x", username="y")


def test_secrets_are_not_shown() -> None:
    server = Server(url="http://h/", token="secret-token", password="secret-password")
    assert "secret" not in repr(server)
    assert "secret" not in repr(Client("http://h/", token="secret-token"))
