"""What a runner is told by its environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from datarun_ext.protocol import QUEUES, SandboxLevel

SECRETS = ("DATARUN_BROKER_URL", "DATARUN_RUNNER_TOKEN", "DR_DATABASE_PASSWORD")
"""Variables whose values must not stay where a fold could read them."""
BROKERS = ("redis", "rediss", "redis+socket", "amqp", "amqps")
MASTERS = ("http", "https", "http+unix")

Number = TypeVar("Number", int, float)


class ConfigError(Exception):
    """A variable is missing or wrong; the message names it, the reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """Settings of one runner.

    Attributes
    ----------
    broker_url : str
        ``redis://``, ``redis+socket://:password@/path/of.sock`` or ``amqp://``.
    master_url : str
        Where the master's REST interface begins; ``http+unix://`` with the percent-encoded path
        of a socket in place of the host for a master on this machine.
    token : str
        Proves to the master that this is a runner.
    cache_dir : Path
        Datasets and submissions are kept there.
    cache_mb : int
        How much of them.
    slots : int
        Folds that run at the same time.
    queues : tuple of str
        In order of precedence.
    minimum_level : SandboxLevel
        A runner that cannot isolate folds as well refuses to start.
    soft_s, hard_s : float or None
        The runner's own cap on the limits of a fold.
    grace_s : float
        How long running folds may go on when the runner is asked to end.
    """

    broker_url: str = field(repr=False)
    master_url: str
    token: str = field(repr=False)
    cache_dir: Path
    cache_mb: int = 20_000
    slots: int = 1
    queues: tuple[str, ...] = QUEUES
    minimum_level: SandboxLevel = SandboxLevel.LIMITS
    soft_s: float | None = None
    hard_s: float | None = None
    grace_s: float = 10.0
    log_level: str = "INFO"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> RunnerConfig:
        """Read the configuration; raises `ConfigError` that says what to set."""
        env = os.environ if environ is None else environ
        cores = len(os.sched_getaffinity(0))
        soft_s = _number(env, "DATARUN_SOFT_LIMIT_S", None, float)
        hard_s = _number(env, "DATARUN_HARD_LIMIT_S", None, float)
        if soft_s is not None and hard_s is not None and hard_s < soft_s:
            raise _wrong("DATARUN_HARD_LIMIT_S", env, "be at least DATARUN_SOFT_LIMIT_S")
        return cls(
            broker_url=_url(env, "DATARUN_BROKER_URL", BROKERS, _seeds_broker(env)),
            master_url=_url(env, "DATARUN_MASTER_URL", MASTERS, None).rstrip("/") + "/",
            token=_token(env),
            cache_dir=Path(env.get("DATARUN_CACHE_DIR") or _default_cache()),
            cache_mb=_number(env, "DATARUN_CACHE_MB", 20_000, int),
            slots=_number(env, "DATARUN_SLOTS", cores, int),
            queues=_queues(env),
            minimum_level=_level(env),
            soft_s=soft_s,
            hard_s=hard_s,
            grace_s=_number(env, "DATARUN_GRACE_S", 10.0, float, zero=True),
            log_level=env.get("DATARUN_LOG_LEVEL", "INFO").upper(),
        )


def _wrong(name: str, env: Mapping[str, str], must: str) -> ConfigError:
    shown = "its value" if name in SECRETS else repr(env.get(name, ""))
    return ConfigError(f"{name}: {shown} cannot be used; it must {must}.")


def _number(
    env: Mapping[str, str],
    name: str,
    default: Number | None,
    kind: type[Number],
    *,
    zero: bool = False,
) -> Number:
    text = env.get(name, "")
    if not text:
        return default  # type: ignore[return-value]
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if not (value > 0 or (zero and value == 0)) or value == float("inf"):
        what = "a whole number" if kind is int else "a number"
        raise _wrong(name, env, f"be {what} greater than 0")
    return value


def _url(env: Mapping[str, str], name: str, schemes: tuple[str, ...], default: str | None) -> str:
    text = env.get(name) or default
    if not text:
        msg = f"{name} is not set; set it to a URL that begins with {schemes[0]}://."
        raise ConfigError(msg)
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes:
        raise _wrong(name, env, f"begin with one of {', '.join(f'{s}://' for s in schemes)}")
    return text


def _seeds_broker(env: Mapping[str, str]) -> str | None:
    """Return the RabbitMQ of the seeds' variables, for installations that had it."""
    if not (env.get("RMQ_VHOST") and env.get("IP_MASTER")):
        return None
    user = quote(env.get("DR_DATABASE_USER", "guest"), safe="")
    password = quote(env.get("DR_DATABASE_PASSWORD", "guest"), safe="")
    return f"amqp://{user}:{password}@{env['IP_MASTER']}/{quote(env['RMQ_VHOST'], safe='')}"


def _token(env: Mapping[str, str]) -> str:
    file = env.get("DATARUN_RUNNER_TOKEN_FILE")
    if file:
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            msg = f"DATARUN_RUNNER_TOKEN_FILE: {file} cannot be read ({error}); check its path."
            raise ConfigError(msg) from None
    else:
        token = env.get("DATARUN_RUNNER_TOKEN", "").strip()
    if not token:
        msg = (
            "The runner has no token; set DATARUN_RUNNER_TOKEN or DATARUN_RUNNER_TOKEN_FILE to "
            "the master's runner token."
        )
        raise ConfigError(msg)
    return token


def _queues(env: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(filter(None, map(str.strip, env.get("DATARUN_QUEUES", "").split(","))))
    unknown = [name for name in names if name not in QUEUES]
    if unknown or len(set(names)) != len(names):
        raise _wrong("DATARUN_QUEUES", env, f"be a list out of {','.join(QUEUES)}")
    return tuple(name for name in QUEUES if name in names) or QUEUES


def _level(env: Mapping[str, str]) -> SandboxLevel:
    try:
        return SandboxLevel(env.get("DATARUN_MINIMUM_LEVEL") or SandboxLevel.LIMITS)
    except ValueError:
        must = f"be one of {', '.join(SandboxLevel)}"
        raise _wrong("DATARUN_MINIMUM_LEVEL", env, must) from None


def _default_cache() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        base = tempfile.gettempdir()
    return os.path.join(base, "datarun")
