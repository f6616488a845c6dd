"""Where the server is: from arguments, the environment, or the files that Jupyter servers leave."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from datarun_ext.client.errors import ClientError, NotConnected

REMEDY = (
    "Start a server with `jupyter lab` or `jupyter datarun`, or say where it is: "
    "Client(url, token=...) or Client(url, username=..., password=...), or the environment "
    "variables DATARUN_URL with DATARUN_TOKEN or DATARUN_USER and DATARUN_PASSWORD."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a server is, and how to show who one is.

    Attributes
    ----------
    url : str
        With base_url, ends in a slash.
    origin : str
        Where this was found, for messages.
    """

    url: str
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    origin: str = "arguments"


Probe = Callable[[Server], None]
"""Raises a `ClientError` unless datarun answers there."""


def normalise(url: str) -> str:
    """Return a server's URL with scheme and a slash at its end, without query and credentials.

    Raises
    ------
    ValueError
        If it is no address of a server.
    """
    parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{url!r} is no address of a server; one looks like http://127.0.0.1:8888/"
        raise ValueError(msg)
    path = parts.path
    for page in ("/lab", "/tree", "/runapp", "/docs"):
        if page + "/" in path + "/":
            path = path[: (path + "/").index(page + "/")]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, path.rstrip("/") + "/", "", ""))


def find_server(probe: Probe, environ: Mapping[str, str] = os.environ) -> Server:
    """Return the server that belongs here.

    In this order: DATARUN_URL; the server that started this kernel; JupyterHub's environment; the
    newest running server of this user that has datarun.

    Parameters
    ----------
    probe : callable
        Raises a `ClientError` unless datarun answers.

    Raises
    ------
    NotConnected
        Naming everything that was tried, and the remedy.
    """
    if environ.get("DATARUN_URL"):
        return _from_variables(environ)
    tried = ["DATARUN_URL: not set"]
    for candidate in _candidates(environ, tried):
        try:
            probe(candidate)
        except ClientError as error:
            tried.append(f"{candidate.origin}, {candidate.url}: {error}{_hint(candidate)}")
        else:
            return candidate
    lines = "".join(f"\n  - {line}" for line in tried)
    msg = f"No datarun server was found. Tried:{lines}\n{REMEDY}"
    raise NotConnected(msg)


def _from_variables(environ: Mapping[str, str]) -> Server:
    try:
        url = normalise(environ["DATARUN_URL"])
    except ValueError as error:
        msg = f"Environment variable DATARUN_URL: {error}"
        raise NotConnected(msg) from error
    return Server(
        url=url,
        token=environ.get("DATARUN_TOKEN", ""),
        username=environ.get("DATARUN_USER", ""),
        password=environ.get("DATARUN_PASSWORD", ""),
        origin="DATARUN_URL",
    )


def _candidates(environ: Mapping[str, str], tried: list[str]) -> Iterator[Server]:
    parent = environ.get("JPY_PARENT_PID", "")
    runtime = runtime_dir(environ)
    if parent.isdigit():
        path = runtime / f"jpserver-{parent}.json"
        try:
            yield _with_hub_token(_from_file(path, "the server of this kernel"), environ)
        except (OSError, ValueError, KeyError) as error:
            tried.append(f"the server of this kernel (JPY_PARENT_PID={parent}): {path}: {error}")
    else:
        tried.append("JPY_PARENT_PID: not set, so this is no kernel of a Jupyter server")
    hub = _from_hub(environ)
    if hub is not None:
        yield hub
    else:
        tried.append("JupyterHub: JUPYTERHUB_SERVICE_PREFIX and JUPYTERHUB_API_TOKEN not set")
    yield from _running(runtime, tried)


def runtime_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which Jupyter servers leave their addresses."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(environ.get("JUPYTER_RUNTIME_DIR") or jupyter_runtime_dir())


def _from_file(path: Path, origin: str) -> Server:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            msg = "not this user's own file, so its address and token are not trusted"
            raise ValueError(msg)
        info = json.load(file)
    url = str(info["url"])
    if info.get("sock") or not url.startswith("http"):
        msg = "listens on a unix socket only; start it with --ServerApp.port"
        raise ValueError(msg)
    parts = urlsplit(url)
    if parts.hostname in ("0.0.0.0", "::"):
        loopback = "127.0.0.1" if parts.hostname == "0.0.0.0" else "[::1]"
        url = urlunsplit(parts._replace(netloc=f"{loopback}:{parts.port or 80}"))
    return Server(url=normalise(url), token=str(info.get("token") or ""), origin=origin)


def _with_hub_token(server: Server, environ: Mapping[str, str]) -> Server:
    """Give a server of JupyterHub, whose file holds no token, the token of the environment."""
    token = server.token or environ.get("JUPYTERHUB_API_TOKEN", "")
    return Server(url=server.url, token=token, origin=server.origin)


def _from_hub(environ: Mapping[str, str]) -> Server | None:
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    token = environ.get("JUPYTERHUB_API_TOKEN", "")
    if not prefix or not token:
        return None
    parts = urlsplit(environ.get("JUPYTERHUB_SERVICE_URL") or "http://127.0.0.1:8888/")
    host = "127.0.0.1" if parts.hostname in (None, "", "0.0.0.0", "::") else parts.hostname
    url = f"{parts.scheme}://{host}:{parts.port or 8888}{prefix}"
    return Server(url=normalise(url), token=token, origin="JupyterHub's environment")


def _running(runtime: Path, tried: list[str]) -> Iterator[Server]:
    """Yield this user's running servers, the newest first."""
    found: list[tuple[float, Path]] = []
    for path in runtime.glob("jpserver-*.json"):
        try:
            found.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue
    alive = 0
    for _, path in sorted(found, reverse=True):
        pid = path.stem.partition("-")[2]
        if not pid.isdigit() or not _is_alive(int(pid)):
            continue
        alive += 1
        try:
            yield _from_file(path, f"running server {pid}")
        except (OSError, ValueError, KeyError) as error:
            tried.append(f"running server {pid}: {path}: {error}")
    if not alive:
        tried.append(f"running servers of this user: none in {runtime}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _hint(server: Server) -> str:
    if server.token or server.username:
        return ""
    return " (it has no token, perhaps a password: give username= and password= of a datarun user)"
