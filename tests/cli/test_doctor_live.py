"""The doctor beside a running server: its runners, a small fold, and a hostile submission."""

from __future__ import annotations

import json
import subprocess

from tests.cli.conftest import COMMAND
from tests.live.conftest import LiveServer


def test_the_doctor_of_a_running_server(server: LiveServer) -> None:
    with server.client() as client:
        before = [one.id for one in client.datasets.list()]
        answer = subprocess.run(
            [*COMMAND, "doctor", "--json", "--canary"],
            env=server.environ,
            capture_output=True,
            text=True,
            timeout=170,
        )
        assert answer.stdout, answer.stderr
        found = {one["part"]: one for one in json.loads(answer.stdout)}
        assert found["server"]["level"] == "OK", answer.stdout
        assert client.url in found["server"]["message"]
        assert found["runner"]["level"] == "OK"
        assert found["canary"]["level"] == "OK"
        hostile = found["hostile submission"]
        if "full" in found["sandbox"]["message"]:
            assert hostile["level"] == "OK"
        else:
            assert hostile["level"] in ("OK", "WARN")
        assert [one.id for one in client.datasets.list()] == before
