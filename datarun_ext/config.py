"""Every option of the master: one trait each, with the environment variables that set it.

A value comes from the command line or a configuration file (``c.DatarunApp.<name>``), else from the
first environment variable that is set, else from the default. `Settings` holds the values that
result; nothing else in the master reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path, jupyter_data_dir, jupyter_runtime_dir
from sqlalchemy import URL
from traitlets import Bool, Float, HasTraits, Int, TraitError, Unicode
from traitlets.config.loader import (
    Config,
    ConfigFileNotFound,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

from datarun_ext.protocol import Limits, SandboxLevel


def _env(*names: str) -> dict[str, Any]:
    return {"config": True, "env": names}


class OptionError(ValueError):
    """An option has a value that it cannot have; the message says which, why and what to do."""


class Options(HasTraits):
    """The options as traits; `DatarunApp` inherits them, the command line loads them alone."""

    data_dir = Unicode(
        "", help="Folder of the database, the datasets and the submissions. Default: "
        "`datarun` in Jupyter's data folder."
    ).tag(**_env("DATARUN_DATA_DIR"))  # fmt: skip
    runtime_dir = Unicode(
        "", help="Folder of sockets and secrets of the running master (mode 0700). Default: "
        "`datarun` in Jupyter's runtime folder."
    ).tag(**_env("DATARUN_RUNTIME_DIR"))  # fmt: skip
    dataset_dir = Unicode("", help="Folder of the datasets. Default: `rawdata` in `data_dir`.").tag(
        **_env("DATARUN_DATASET_DIR", "DIR_DATA")
    )
    submission_dir = Unicode(
        "", help="Folder of the submissions. Default: `submissions` in `data_dir`."
    ).tag(**_env("DATARUN_SUBMISSION_DIR", "DIR_SUBMISSION"))
    database_url = Unicode(
        "", help="SQLAlchemy URL of the database. Default: SQLite in `data_dir`, or the "
        "PostgreSQL database that DR_DATABASE_NAME, DR_DATABASE_USER and DR_DATABASE_PASSWORD "
        "name on the host IP_MASTER."
    ).tag(**_env("DATARUN_DATABASE_URL"))  # fmt: skip
    database_name = Unicode("", help="Name of a PostgreSQL database.").tag(
        **_env("DR_DATABASE_NAME")
    )
    database_user = Unicode("", help="User of the database, and of RabbitMQ.").tag(
        **_env("DR_DATABASE_USER")
    )
    database_password = Unicode("", help="Password of the database, and of RabbitMQ.").tag(
        **_env("DR_DATABASE_PASSWORD")
    )
    broker_url = Unicode(
        "", help="Celery broker, e.g. `redis://:password@host:6379/0`. Default: a private Redis "
        "that the master starts itself, or RabbitMQ on IP_MASTER when RMQ_VHOST is set."
    ).tag(**_env("DATARUN_BROKER_URL"))  # fmt: skip
    rabbitmq_vhost = Unicode("", help="RabbitMQ virtual host that is the broker.").tag(
        **_env("RMQ_VHOST")
    )
    master_host = Unicode("localhost", help="Host of the database and of the broker.").tag(
        **_env("IP_MASTER")
    )
    redis_url = Unicode(
        "", help="Redis through which several masters tell each other of events. Default: the "
        "broker, when it is Redis."
    ).tag(**_env("DATARUN_REDIS_URL"))  # fmt: skip
    runner_token = Unicode(
        "", help="Secret with which runners of other machines introduce themselves. Without it "
        "only the master's own runner is let in."
    ).tag(**_env("DATARUN_RUNNER_TOKEN"), secret=True)  # fmt: skip
    local_runner = Bool(
        True, help="Whether the master starts a runner on its own machine when it has started a "
        "private Redis."
    ).tag(**_env("DATARUN_LOCAL_RUNNER"))  # fmt: skip
    slots = Int(
        0, min=0, help="Folds that the master's own runner trains at once. Default: one for each "
        "core."
    ).tag(**_env("DATARUN_SLOTS", "NB_LOCAL_WORKER"))  # fmt: skip
    minimum_level = Unicode(
        "limits", help="Weakest sandbox with which the master's own runner may work: full, "
        "landlock or limits."
    ).tag(**_env("DATARUN_MINIMUM_LEVEL"))  # fmt: skip
    reconcile_s = Float(
        15.0, min=0.1, help="Seconds between two looks for folds whose runner was lost. "
        "CELERY_SCHEDULER_PERIOD is given in minutes, as in datarun 0.4 (`*/2`)."
    ).tag(**_env("DATARUN_RECONCILE_S", "CELERY_SCHEDULER_PERIOD"))  # fmt: skip
    lease_s = Float(
        45.0, min=0.5, help="Seconds without a sign of its runner after which a fold is sent again."
    ).tag(**_env("DATARUN_LEASE_S"))
    heartbeat_s = Float(10.0, min=0.1, help="Seconds between two signs of a runner.").tag(
        **_env("DATARUN_HEARTBEAT_S")
    )
    soft_limit_s = Float(
        300.0, min=0.1, help="Seconds after which a fold gets an exception, unless it asks for "
        "another limit."
    ).tag(**_env("DATARUN_SOFT_LIMIT_S"))  # fmt: skip
    hard_limit_s = Float(360.0, min=0.1, help="Seconds after which a fold is killed.").tag(
        **_env("DATARUN_HARD_LIMIT_S")
    )
    memory_mb = Int(4096, min=64, help="Memory of a fold in MB.").tag(**_env("DATARUN_MEMORY_MB"))
    processes = Int(256, min=1, help="Processes and threads of a fold.").tag(
        **_env("DATARUN_PROCESSES")
    )
    disk_mb = Int(1024, min=1, help="Disk of a fold in MB.").tag(**_env("DATARUN_DISK_MB"))
    max_hard_limit_s = Float(86400.0, min=0.1, help="The most that a client may ask for.").tag(
        **_env("DATARUN_MAX_HARD_LIMIT_S")
    )
    max_memory_mb = Int(65536, min=64, help="The most that a client may ask for.").tag(
        **_env("DATARUN_MAX_MEMORY_MB")
    )
    max_processes = Int(4096, min=1, help="The most that a client may ask for.").tag(
        **_env("DATARUN_MAX_PROCESSES")
    )
    max_disk_mb = Int(65536, min=1, help="The most that a client may ask for.").tag(
        **_env("DATARUN_MAX_DISK_MB")
    )
    max_upload_mb = Int(20480, min=1, help="Largest file that a client may send, in MB.").tag(
        **_env("DATARUN_MAX_UPLOAD_MB")
    )
    working_env = Unicode(
        "DEV", help="PROD or DEV. PROD refuses to start with SQLite or a private Redis."
    ).tag(**_env("DR_WORKING_ENV"))
    email = Unicode("", help="E-mail address of the platform's superuser.").tag(**_env("DR_EMAIL"))

    def option(self, name: str) -> Any:
        """Return an option's value: configured, else from the environment, else the default.

        Raises
        ------
        OptionError
            If an environment variable holds a value that the option cannot have.
        """
        configured = getattr(self, name)
        trait = self.traits()[name]
        if configured != trait.default_value:
            return configured
        for variable in trait.metadata["env"]:
            text = os.environ.get(variable, "")
            if text:
                return self._parse(name, variable, text)
        return configured

    def _parse(self, name: str, variable: str, text: str) -> Any:
        trait = self.traits()[name]
        try:
            if variable == "CELERY_SCHEDULER_PERIOD":
                minutes = re.fullmatch(r"\*/(\d+)|(\d+(?:\.\d+)?)", text.strip())
                if minutes is None:
                    msg = "a number of minutes such as */2 is needed"
                    raise ValueError(msg)
                return trait._validate(self, 60.0 * float(minutes[1] or minutes[2]))
            return trait._validate(self, trait.from_string(text))
        except (ValueError, TraitError) as error:
            msg = f"Environment variable {variable} is {text!r}: {error}. Correct or unset it."
            raise OptionError(msg) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionDoc:
    """One row of the table of options in the documentation."""

    name: str
    variables: tuple[str, ...]
    default: str
    help: str


def option_docs() -> Iterator[OptionDoc]:
    """Yield every option with its variables, default and meaning."""
    for name, trait in Options.class_traits(config=True).items():
        yield OptionDoc(
            name=name,
            variables=trait.metadata["env"],
            default=str(trait.default_value),
            help=str(trait.help),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of all options, with the defaults that depend on others filled in."""

    data_dir: Path
    runtime_dir: Path
    dataset_dir: Path
    submission_dir: Path
    database_url: str
    broker_url: str
    """Empty: the master starts a private Redis."""
    redis_url: str
    runner_token: str
    local_runner: bool
    slots: int
    minimum_level: SandboxLevel
    reconcile_s: float
    lease_s: float
    heartbeat_s: float
    limits: Limits
    maximum: Limits
    max_upload: int
    """Bytes."""
    working_env: str
    email: str

    @property
    def embedded(self) -> bool:
        """Whether the master starts its own private Redis."""
        return not self.broker_url

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def upload_dir(self) -> Path:
        """Folder of files on their way in; beside the datasets, so that a rename is enough."""
        return self.dataset_dir / ".uploads"

    @classmethod
    def load(cls) -> Settings:
        """Read Jupyter's configuration files and the environment, as the server would."""
        config = Config()
        for folder in reversed(jupyter_config_path()):
            for base in ("jupyter_server_config", "jupyter_datarun_config"):
                for loader in (JSONFileConfigLoader, PyFileConfigLoader):
                    suffix = ".json" if loader is JSONFileConfigLoader else ".py"
                    try:
                        config.merge(loader(base + suffix, path=folder).load_config())
                    except ConfigFileNotFound:
                        continue
        options = Options()
        for name, value in config.get("DatarunApp", {}).items():
            if name in options.traits(config=True):
                setattr(options, name, value)
        return cls.from_options(options)

    @classmethod
    def from_options(cls, options: Options) -> Settings:
        """Fill in the defaults that depend on other options.

        Raises
        ------
        OptionError
            If options contradict each other.
        """
        get = options.option
        data_dir = Path(get("data_dir") or Path(jupyter_data_dir()) / "datarun").absolute()
        level = get("minimum_level")
        if level not in [str(known) for known in SandboxLevel]:
            msg = f"minimum_level is {level!r}: it must be full, landlock or limits."
            raise OptionError(msg)
        broker_url = get("broker_url") or _rabbitmq_url(options)
        settings = cls(
            data_dir=data_dir,
            runtime_dir=Path(
                get("runtime_dir") or Path(jupyter_runtime_dir()) / "datarun"
            ).absolute(),
            dataset_dir=Path(get("dataset_dir") or data_dir / "rawdata").absolute(),
            submission_dir=Path(get("submission_dir") or data_dir / "submissions").absolute(),
            database_url=get("database_url")
            or _postgresql_url(options)
            or f"sqlite:///{data_dir / 'datarun.sqlite3'}",
            broker_url=broker_url,
            redis_url=get("redis_url") or _redis_url(broker_url),
            runner_token=get("runner_token"),
            local_runner=get("local_runner"),
            slots=get("slots") or len(os.sched_getaffinity(0)),
            minimum_level=SandboxLevel(level),
            reconcile_s=get("reconcile_s"),
            lease_s=get("lease_s"),
            heartbeat_s=get("heartbeat_s"),
            # A default above the maximum would let those have more who ask for nothing.
            limits=Limits(
                soft_s=min(get("soft_limit_s"), get("hard_limit_s"), get("max_hard_limit_s")),
                hard_s=min(get("hard_limit_s"), get("max_hard_limit_s")),
                memory_mb=min(get("memory_mb"), get("max_memory_mb")),
                processes=min(get("processes"), get("max_processes")),
                disk_mb=min(get("disk_mb"), get("max_disk_mb")),
            ),
            maximum=Limits(
                soft_s=get("max_hard_limit_s"),
                hard_s=get("max_hard_limit_s"),
                memory_mb=get("max_memory_mb"),
                processes=get("max_processes"),
                disk_mb=get("max_disk_mb"),
            ),
            max_upload=get("max_upload_mb") * 10**6,
            working_env=get("working_env").upper(),
            email=get("email"),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        OptionError
            With the option, the reason and the remedy.
        """
        if self.working_env not in ("DEV", "PROD"):
            msg = f"working_env (DR_WORKING_ENV) is {self.working_env!r}: it must be DEV or PROD."
            raise OptionError(msg)
        if self.working_env == "PROD" and (self.is_sqlite or self.embedded):
            msg = (
                "working_env (DR_WORKING_ENV) is PROD, which needs a PostgreSQL database and a "
                "broker of its own: set database_url and broker_url, or use DEV."
            )
            raise OptionError(msg)
        if self.heartbeat_s * 2 > self.lease_s:
            msg = (
                f"lease_s ({self.lease_s}) must be at least twice heartbeat_s ({self.heartbeat_s}):"
                " otherwise one lost sign costs a fold its runner."
            )
            raise OptionError(msg)


def _postgresql_url(options: Options) -> str:
    name = options.option("database_name")
    if not name:
        return ""
    return URL.create(
        "postgresql+psycopg",
        username=options.option("database_user") or None,
        password=options.option("database_password") or None,
        host=options.option("master_host"),
        database=name,
    ).render_as_string(hide_password=False)


def _redis_url(broker_url: str) -> str:
    """Return a Redis broker as redis-py spells it; "" for other brokers."""
    if broker_url.startswith("redis+socket://"):
        return broker_url.replace("redis+socket://", "unix://", 1)
    return broker_url if broker_url.startswith(("redis://", "rediss://")) else ""


def _rabbitmq_url(options: Options) -> str:
    vhost = options.option("rabbitmq_vhost")
    if not vhost:
        return ""
    return URL.create(
        "amqp",
        username=options.option("database_user") or None,
        password=options.option("database_password") or None,
        host=options.option("master_host"),
        port=5672,
        database=vhost,
    ).render_as_string(hide_password=False)
