"""The doctor beside a running server: its runners, a small fold, and a hostile submission."""

from __future__ import annotations

import json
import subprocess
import sys

from datarun_ext.cli.demo_server import DemoServer


def test_the_doctor_of_a_running_server() -> None:
    with DemoServer() as server, server.start() as client:
        answer = subprocess.run(
            [sys.executable, "-c", "from datarun_ext.cli import main; main()"]
            + ["doctor", "--json", "--canary"],
            env=server.environ(),
            capture_output=True,
            text=True,
            timeout=170,
        )
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
        assert client.datasets.list() == []
