"""Users, database, options and runner lists, as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from datarun_ext.cli import COMMANDS
from datarun_ext.cli.options import as_markdown
from datarun_ext.cli.runners import parse_runners
from datarun_ext.config import option_docs
from tests.cli.conftest import COMMAND, Run


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from datarun_ext.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'sqlalchemy', 'tornado', 'celery', 'requests'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "HEAVY []" in answer.stdout
    for name in COMMANDS:
        assert f"  {name} " in answer.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(datarun: Run, name: str) -> None:
    answer = datarun(name, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Usage:" in answer.stdout


def test_users_before_a_server_has_ever_run(datarun: Run) -> None:
    assert "There are no users" in datarun("user", "list").stdout
    words = ("user", "add", "ada", "--superuser", "--email", "ada@x.org", "--password-stdin")
    added = datarun(*words, stdin="correct horse\n")
    assert (added.returncode, added.stdout) == (0, "Added superuser ada.\n")
    line = datarun("user", "list").stdout.split("\t")
    assert line[:3] == ["ada", "superuser", "ada@x.org"]

    again = datarun(*words, stdin="other\n")
    assert again.returncode == 1
    assert "'ada'" in again.stderr
    assert "Traceback" not in again.stderr

    assert datarun("user", "passwd", "ada", "--password-stdin", stdin="new pass\n").returncode == 0
    unknown = datarun("user", "passwd", "bob", "--password-stdin", stdin="new pass\n")
    assert unknown.returncode == 1
    assert "'bob'" in unknown.stderr
    assert datarun("user", "delete", "ada", "--yes").stdout == "Deleted ada.\n"
    assert "There are no users" in datarun("user", "list").stdout


def test_no_password_is_no_user(datarun: Run) -> None:
    answer = datarun("user", "add", "ada", "--password-stdin", stdin="")
    assert answer.returncode == 1
    assert "password" in answer.stderr


def test_the_database_is_made_and_checked(datarun: Run, environ: Path) -> None:
    before = datarun("db", "upgrade")
    assert before.returncode == 0, before.stderr
    assert "up to date" in before.stdout
    assert (environ / "data" / "datarun.sqlite3").exists()
    assert datarun("db", "current").returncode == 0


def test_an_empty_database_is_told_what_to_do(datarun: Run, environ: Path) -> None:
    (environ / "data").mkdir()
    answer = datarun("db", "current")
    assert answer.returncode == 1
    assert "datarun db upgrade" in answer.stderr


def test_a_database_that_cannot_be_reached_is_named(
    datarun: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATARUN_DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:9/d")
    answer = datarun("user", "list")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "secret" not in answer.stderr


def test_a_wrong_variable_is_named(datarun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB_LOCAL_WORKER", "many")
    answer = datarun("user", "list")
    assert answer.returncode == 1
    assert "NB_LOCAL_WORKER" in answer.stderr


def test_every_option_is_in_the_table(datarun: Run) -> None:
    text = datarun("options").stdout
    table = as_markdown(list(option_docs()))
    for option in option_docs():
        assert option.name in text
        assert f"`c.DatarunApp.{option.name}`" in table
        for variable in option.variables:
            assert variable in text
            assert f"`{variable}`" in table
    assert datarun("options", "--markdown").stdout == table


LIST = "134.158.75.112 2 L,celery 360 300\n134.158.75.113 3 H 240 200"


def test_a_list_of_runners_as_datarun_0_4_had_it(datarun: Run, tmp_path: Path) -> None:
    path = tmp_path / "list_runners.txt"
    for text in (LIST, LIST + "\n", "# ours\n\n" + LIST + "\n\n"):
        path.write_text(text)
        answer = datarun("runners", str(path))
        assert answer.returncode == 0
        assert answer.stdout.splitlines() == [
            "134.158.75.112\tdatarun runner --slots=2 --queues=L,celery --hard-limit=360 "
            "--soft-limit=300",
            "134.158.75.113\tdatarun runner --slots=3 --queues=H --hard-limit=240 --soft-limit=200",
        ]


def test_a_queue_that_nobody_serves_is_said(datarun: Run, tmp_path: Path) -> None:
    path = tmp_path / "list_runners.txt"
    path.write_text("host 2 L 360 300")
    answer = datarun("runners", str(path))
    assert answer.returncode == 1
    assert "H, celery" in answer.stderr


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("host 2 L 360", "4 words"),
        ("host 0 L 360 300", "concurrency 0"),
        ("host two L 360 300", "concurrency two"),
        ("host 2 M 360 300", "'M'"),
        ("host 2 L 300 360", "soft limit 360"),
        ("host 2 L inf 300", "hard limit inf"),
        ("host 2 L nan 300", "hard limit nan"),
        ("-oProxyCommand=x 2 L 360 300", "no address"),
    ],
)
def test_a_wrong_line_is_named(line: str, why: str) -> None:
    with pytest.raises(ValueError, match="line 2") as caught:
        list(parse_runners("# first\n" + line))
    assert why in str(caught.value)


@pytest.mark.usefixtures("environ")
def test_a_runner_without_a_master_says_what_is_missing() -> None:
    # A process of its own: the command becomes the runner.
    answer = subprocess.run([*COMMAND, "runner", "--slots", "1"], capture_output=True, text=True)
    assert answer.returncode != 0
    assert "DATARUN_" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_doctor_names_each_part(datarun: Run) -> None:
    answer = datarun("doctor", "--json")
    found = {one["part"]: one for one in json.loads(answer.stdout)}
    for part in ("Python", "packages", "configuration", "Redis", "database", "disk", "sandbox"):
        assert part in found
    assert found["Redis"]["level"] == "OK"
    assert found["server"]["level"] == "WARN"
    assert "level" in found["sandbox"]["message"]
    assert all(one["remedy"] for one in found.values() if one["level"] != "OK")
    failed = any(one["level"] == "FAIL" for one in found.values())
    assert answer.returncode == int(failed)


def test_doctor_fails_where_something_is_wrong(
    datarun: Run, environ: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATARUN_DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:9/d")
    monkeypatch.setenv("DATARUN_BROKER_URL", "redis://:secret@127.0.0.1:9/0")
    answer = datarun("doctor")
    assert answer.returncode == 1
    assert "FAIL broker" in answer.stdout
    assert "FAIL database" in answer.stdout
    assert "->" in answer.stdout
    assert "secret" not in answer.stdout
