from __future__ import annotations

from pathlib import Path

import pytest
from kombu import Connection

from celery_app.app import make_app
from celery_app.config import ConfigError, RunnerConfig
from celery_app.shared import Shared
from datarun_ext.protocol import SandboxLevel

LEAST = {
    "DATARUN_BROKER_URL": "redis://:secret@broker/0",
    "DATARUN_MASTER_URL": "http://master:8888/lab",
    "DATARUN_RUNNER_TOKEN": "secret",
}


def read(**variables: str) -> RunnerConfig:
    return RunnerConfig.from_environ({**LEAST, **variables})


def test_the_least_that_is_needed() -> None:
    config = read()
    assert config.master_url == "http://master:8888/lab/"
    assert config.queues == ("H", "L", "celery")
    assert config.slots >= 1
    assert config.minimum_level is SandboxLevel.LIMITS
    assert config.soft_s is config.hard_s is None
    assert "secret" not in repr(config)


def test_everything_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    config = read(
        DATARUN_RUNNER_TOKEN_FILE=str(tmp_path / "token"),
        DATARUN_CACHE_DIR="/data/cache",
        DATARUN_SLOTS="3",
        DATARUN_QUEUES="celery, L",
        DATARUN_MINIMUM_LEVEL="full",
        DATARUN_SOFT_LIMIT_S="300",
        DATARUN_HARD_LIMIT_S="360.5",
        DATARUN_GRACE_S="0",
    )
    assert config.token == "from-file"
    assert config.cache_dir == Path("/data/cache")
    assert config.slots == 3
    assert config.queues == ("L", "celery")
    assert config.minimum_level is SandboxLevel.FULL
    assert (config.soft_s, config.hard_s, config.grace_s) == (300, 360.5, 0)


def test_the_rabbitmq_of_the_seeds_is_found() -> None:
    environ = {
        **LEAST,
        "DATARUN_BROKER_URL": "",
        "RMQ_VHOST": "rabbit/host",
        "IP_MASTER": "10.0.0.1",
        "DR_DATABASE_USER": "user",
        "DR_DATABASE_PASSWORD": "p@ss",
    }
    url = RunnerConfig.from_environ(environ).broker_url
    assert url == "amqp://user:p%40ss@10.0.0.1/rabbit%2Fhost"
    connection = Connection(url)
    assert connection.virtual_host == "rabbit/host"
    assert connection.password == "p@ss"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DATARUN_BROKER_URL": ""}, "DATARUN_BROKER_URL is not set; set it to a URL"),
        ({"DATARUN_BROKER_URL": "ftp://:secret@x"}, "its value cannot be used; it must begin"),
        ({"DATARUN_MASTER_URL": "master:8888"}, "begin with one of http://"),
        ({"DATARUN_RUNNER_TOKEN": " "}, "set DATARUN_RUNNER_TOKEN or DATARUN_RUNNER_TOKEN_FILE"),
        ({"DATARUN_RUNNER_TOKEN_FILE": "/no/such"}, "/no/such cannot be read"),
        ({"DATARUN_SLOTS": "0"}, "'0' cannot be used; it must be a whole number greater than 0"),
        ({"DATARUN_SLOTS": "2.5"}, "must be a whole number"),
        ({"DATARUN_SOFT_LIMIT_S": "nan"}, "must be a number greater than 0"),
        ({"DATARUN_SOFT_LIMIT_S": "inf"}, "must be a number greater than 0"),
        (
            {"DATARUN_SOFT_LIMIT_S": "9", "DATARUN_HARD_LIMIT_S": "8"},
            "must be at least DATARUN_SOFT_LIMIT_S",
        ),
        ({"DATARUN_QUEUES": "H,X"}, "'H,X' cannot be used; it must be a list out of H,L,celery"),
        ({"DATARUN_QUEUES": "H,H"}, "'H,H' cannot be used"),
        ({"DATARUN_MINIMUM_LEVEL": "best"}, "it must be one of full, landlock, limits"),
    ],
)
def test_errors_name_variable_reason_and_remedy(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**variables)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "redis"),
    [
        ("redis://:pw@host:6380/3", True),
        ("redis+socket://:pw@/run/datarun/redis.sock?virtual_host=0", True),
        ("amqp://user:pw@host/vhost", False),
    ],
)
def test_messages_are_doorbells_on_every_broker(url: str, redis: bool) -> None:
    app = make_app(url)
    assert app.conf.task_acks_late is False
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
    assert list(app.amqp.queues) == ["H", "L", "celery"]
    assert bool(app.conf.worker_disable_prefetch) is redis
    options = app.conf.broker_transport_options
    assert options.get("queue_order_strategy") == ("priority" if redis else None)


def test_slots_see_what_the_main_process_says() -> None:
    shared = Shared()
    shared.zygote = "/run/zygote.sock"
    shared.registered(2**40, 1.5, 45.0)
    assert (shared.runner_id, shared.heartbeat_s, shared.lease_s) == (2**40, 1.5, 45.0)
    assert shared.zygote == "/run/zygote.sock"
    shared.zygote = "/x"
    assert shared.zygote == "/x"
    assert not shared.stopping
    shared.stop(1000)
    assert shared.stopping
    assert not shared.stopped
    shared.registered(3, 1.0, 2.0)
    shared.stop(0)
    assert not shared.stopped, "the first call counts"
    with pytest.raises(ValueError, match="too long"):
        shared.zygote = "/" * 300
