"""Options: from the configuration, the environment or the default; contradictions are named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from datarun_ext.app import DatarunApp
from datarun_ext.config import Settings
from datarun_ext.options import Options
from datarun_ext.protocol import SandboxLevel

NAMES = sorted(Options.class_traits(config=True))
SAMPLES = {
    "data_dir": "/a", "runtime_dir": "/a", "dataset_dir": "/a", "submission_dir": "/a",
    "database_url": "sqlite:////a/b", "broker_url": "redis://h/1", "redis_url": "redis://h/2",
    "minimum_level": "full", "local_runner": False, "working_env": "PROD",
}  # fmt: skip


def sample(name: str) -> Any:
    default = Options.class_traits()[name].default_value
    return SAMPLES.get(name, 77 if isinstance(default, int | float) else "some text")


CONFIGURED: dict[str, Any] = {
    name: 99 if isinstance(sample(name), int | float) else "configured" for name in NAMES
} | {"local_runner": False}


@pytest.fixture(autouse=True)
def no_options_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for trait in Options.class_traits(config=True).values():
        for variable in trait.metadata["env"]:
            monkeypatch.delenv(variable, raising=False)


def settings(**options: Any) -> Settings:
    return Settings.from_options(Options(**options))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trait = Options.class_traits()[name]
    assert trait.help
    assert trait.metadata["env"]
    for variable in trait.metadata["env"]:
        if variable == "CELERY_SCHEDULER_PERIOD":
            continue
        monkeypatch.setenv(variable, str(sample(name)))
        found = getattr(Options(), name)
        assert found == sample(name)
        assert type(found) is type(trait.default_value)
        # What is configured comes before the environment, also where it equals the default.
        for configured in (CONFIGURED[name], trait.default_value):
            app = DatarunApp()
            app.update_config(Config({"DatarunApp": {name: configured}}))
            for options in (Options(**{name: configured}), app):
                assert getattr(options, name) == configured
        monkeypatch.setenv(variable, "")
        assert getattr(Options(), name) == trait.default_value
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    ("text", "seconds"), [("*/2", 120.0), ("2", 120.0), ("0.5", 30.0), (" */10 ", 600.0)]
)
def test_scheduler_period_in_minutes(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_SCHEDULER_PERIOD", text)
    assert settings().reconcile_s == seconds


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CELERY_SCHEDULER_PERIOD", "often"),
        ("CELERY_SCHEDULER_PERIOD", "*/0"),
        ("CELERY_SCHEDULER_PERIOD", "0"),
        ("CELERY_SCHEDULER_PERIOD", "*/2 * * * *"),
        ("DATARUN_LEASE_S", "long"),
        ("DATARUN_LEASE_S", "-1"),
        ("NB_LOCAL_WORKER", "-1"),
        ("NB_LOCAL_WORKER", "two"),
        ("DATARUN_MEMORY_MB", "1"),
        ("DATARUN_LOCAL_RUNNER", "perhaps"),
    ],
)
def test_wrong_values_name_the_variable(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=variable):
        settings()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"working_env": "TEST"}, ("working_env", "DR_WORKING_ENV", "PROD")),
        ({"working_env": "PROD"}, ("DR_WORKING_ENV", "database_url", "broker_url")),
        (
            {"working_env": "PROD", "database_url": "postgresql+psycopg://h/d"},
            ("broker_url",),
        ),
        ({"heartbeat_s": 30.0, "lease_s": 45.0}, ("lease_s", "heartbeat_s")),
        ({"minimum_level": "none"}, ("minimum_level", "landlock")),
    ],
)
def test_contradictions(options: dict[str, Any], names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=names[0]) as refused:
        settings(**options)
    for name in names:
        assert name in str(refused.value)


def test_values_out_of_bounds_are_refused_at_once() -> None:
    with pytest.raises(TraitError):
        Options(memory_mb=1)


def test_defaults(tmp_path: Path) -> None:
    found = settings(data_dir=str(tmp_path))
    assert found.embedded
    assert found.is_sqlite
    assert found.dataset_dir == tmp_path / "rawdata"
    assert found.submission_dir == tmp_path / "submissions"
    assert found.upload_dir.parent == found.dataset_dir
    assert found.slots == len(os.sched_getaffinity(0))
    assert found.minimum_level == SandboxLevel.LIMITS
    assert found.max_upload == 20480 * 10**6


def test_the_variables_of_datarun_0_4(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DR_WORKING_ENV": "prod",
        "DIR_DATA": "/data",
        "DIR_SUBMISSION": "/subs",
        "DR_DATABASE_NAME": "dr",
        "DR_DATABASE_USER": "me",
        "DR_DATABASE_PASSWORD": "p@ss/word",
        "DR_EMAIL": "me@example.org",
        "NB_LOCAL_WORKER": "3",
        "RMQ_VHOST": "vhost",
        "IP_MASTER": "192.0.2.1",
    }.items():
        monkeypatch.setenv(name, value)
    found = settings()
    assert found.database_url == "postgresql+psycopg://me:p%40ss%2Fword@192.0.2.1/dr"
    assert found.broker_url == "amqp://me:p%40ss%2Fword@192.0.2.1:5672/vhost"
    assert found.redis_url == ""
    assert (str(found.dataset_dir), str(found.submission_dir)) == ("/data", "/subs")
    assert (found.slots, found.email, found.working_env) == (3, "me@example.org", "PROD")
    assert not found.embedded
    assert not found.is_sqlite


@pytest.mark.parametrize(
    ("broker", "relay"),
    [
        ("redis://:p@h:1/2", "redis://:p@h:1/2"),
        ("rediss://h", "rediss://h"),
        ("redis+socket://:p@/run/r.sock", "unix://:p@/run/r.sock"),
        ("amqp://h", ""),
    ],
)
def test_the_broker_is_the_relay_when_it_is_redis(broker: str, relay: str) -> None:
    assert settings(broker_url=broker).redis_url == relay
    assert settings(broker_url=broker, redis_url="redis://x").redis_url == "redis://x"


def test_no_default_is_above_the_maximum() -> None:
    found = settings(max_memory_mb=1000, max_hard_limit_s=10.0, max_processes=8, max_disk_mb=50)
    for name in type(found.limits).model_fields:
        assert getattr(found.limits, name) <= getattr(found.maximum, name)
    assert settings(soft_limit_s=500.0).limits.soft_s == 360.0
