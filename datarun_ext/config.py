"""The values of all options, which the master is made with.

A value comes from the command line or a configuration file (``c.DatarunApp.<name>``), else from the
first environment variable that is set, else from the default. Nothing else in the master reads the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import jupyter_config_path, jupyter_data_dir, jupyter_runtime_dir
from sqlalchemy import URL
from traitlets.config.loader import (
    Config,
    ConfigFileNotFound,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

from datarun_ext.environment import OptionError
from datarun_ext.options import Options
from datarun_ext.protocol import Limits, SandboxLevel


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
        data_dir = Path(options.data_dir or Path(jupyter_data_dir()) / "datarun").absolute()
        level = options.minimum_level
        if level not in [str(known) for known in SandboxLevel]:
            msg = f"minimum_level is {level!r}: it must be full, landlock or limits."
            raise OptionError(msg)
        broker_url = options.broker_url or _rabbitmq_url(options)
        settings = cls(
            data_dir=data_dir,
            runtime_dir=Path(
                options.runtime_dir or Path(jupyter_runtime_dir()) / "datarun"
            ).absolute(),
            dataset_dir=Path(options.dataset_dir or data_dir / "rawdata").absolute(),
            submission_dir=Path(options.submission_dir or data_dir / "submissions").absolute(),
            database_url=options.database_url
            or _postgresql_url(options)
            or f"sqlite:///{data_dir / 'datarun.sqlite3'}",
            broker_url=broker_url,
            redis_url=options.redis_url or _redis_url(broker_url),
            runner_token=options.runner_token,
            local_runner=options.local_runner,
            slots=options.slots or len(os.sched_getaffinity(0)),
            minimum_level=SandboxLevel(level),
            reconcile_s=options.reconcile_s,
            lease_s=options.lease_s,
            heartbeat_s=options.heartbeat_s,
            # A default above the maximum would let those have more who ask for nothing.
            limits=Limits(
                soft_s=min(options.soft_limit_s, options.hard_limit_s, options.max_hard_limit_s),
                hard_s=min(options.hard_limit_s, options.max_hard_limit_s),
                memory_mb=min(options.memory_mb, options.max_memory_mb),
                processes=min(options.processes, options.max_processes),
                disk_mb=min(options.disk_mb, options.max_disk_mb),
            ),
            maximum=Limits(
                soft_s=options.max_hard_limit_s,
                hard_s=options.max_hard_limit_s,
                memory_mb=options.max_memory_mb,
                processes=options.max_processes,
                disk_mb=options.max_disk_mb,
            ),
            max_upload=options.max_upload_mb * 10**6,
            working_env=options.working_env.upper(),
            email=options.email,
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
    name = options.database_name
    if not name:
        return ""
    return URL.create(
        "postgresql+psycopg",
        username=options.database_user or None,
        password=options.database_password or None,
        host=options.master_host,
        database=name,
    ).render_as_string(hide_password=False)


def _redis_url(broker_url: str) -> str:
    """Return a Redis broker as redis-py spells it; "" for other brokers."""
    if broker_url.startswith("redis+socket://"):
        return broker_url.replace("redis+socket://", "unix://", 1)
    return broker_url if broker_url.startswith(("redis://", "rediss://")) else ""


def _rabbitmq_url(options: Options) -> str:
    vhost = options.rabbitmq_vhost
    if not vhost:
        return ""
    return URL.create(
        "amqp",
        username=options.database_user or None,
        password=options.database_password or None,
        host=options.master_host,
        port=5672,
        database=vhost,
    ).render_as_string(hide_password=False)
