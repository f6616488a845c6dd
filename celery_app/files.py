"""Get the files of a job onto this machine, each content once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from celery_app.cache import Cache, Waiting
from celery_app.master import MasterAway, MasterClient
from datarun_ext.protocol import File

_CHUNK = 1 << 20
_ATTEMPTS = 4


class FetchError(Exception):
    """A file could not be had, or is not what it should be."""


class Files:
    """Fetches files from where their job says, else from the master, and keeps them."""

    def __init__(self, cache: Cache, master: MasterClient) -> None:
        self.cache = cache
        self.master = master

    @contextmanager
    def file(self, file: File, waiting: Waiting) -> Iterator[Path]:
        """Give the path of a file's content, which may be read while the context is open.

        A file that a ``file:`` URL names is used where it lies.

        Raises
        ------
        FetchError
            If it cannot be had.
        """
        path = _local(file)
        if path is not None and _hash_of(_read(path), waiting) == file.sha256:
            yield path
            return

        def fetch(part: Path) -> None:
            self._fetch(file, part, waiting)

        with self.cache.entry("files", file.sha256, fetch, waiting) as kept:
            yield kept

    @contextmanager
    def folder(self, files: Sequence[File], package: str, waiting: Waiting) -> Iterator[Path]:
        """Give a folder around one named `package`, which holds the files; not to be changed.

        Made once for the same files, whoever sends them.
        """
        key = _folder_key(package, ((file.name, file.sha256) for file in files))

        def make(part: Path) -> None:
            inside = part / package
            inside.mkdir(parents=True)
            for file in files:
                with self.file(file, waiting) as source:
                    _place(source, inside / file.name)

        with self.cache.entry("folders", key, make, waiting) as kept:
            yield kept

    @contextmanager
    def given(
        self, contents: Mapping[str, bytes], package: str, waiting: Waiting
    ) -> Iterator[Path]:
        """Give the folder that `folder` would give for files of these contents."""
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}

        def make(part: Path) -> None:
            inside = part / package
            inside.mkdir(parents=True)
            for name, data in contents.items():
                (inside / name).write_bytes(data)
                (inside / name).chmod(0o444)

        key = _folder_key(package, hashes.items())
        with self.cache.entry("folders", key, make, waiting) as kept:
            yield kept

    def copy(self, files: Iterable[File], folder: Path, waiting: Waiting) -> None:
        """Copy files into a folder where any user may change them."""
        for file in files:
            with self.file(file, waiting) as source:
                target = folder / _checked(file.name)
                shutil.copyfile(source, target)
                target.chmod(0o666)
            waiting()

    def _fetch(self, file: File, part: Path, waiting: Waiting) -> None:
        problems: list[str] = []
        if file.url is not None and _local(file) is None:
            try:
                self._save(file, part, _read_url(file.url), waiting)
                return
            except Exception as error:
                problems.append(f"{urlsplit(file.url).scheme} URL: {error}")
        for _ in range(_ATTEMPTS):
            try:
                with self.master.blob(file.sha256) as pieces:
                    self._save(file, part, pieces, waiting)
                return
            except (MasterAway, FetchError, ConnectionError) as error:
                problems.append(str(error))
        msg = f"file {file.name} ({file.sha256[:12]}) cannot be fetched: {'; '.join(problems)}"
        raise FetchError(msg)

    def _save(self, file: File, part: Path, pieces: Iterator[bytes], waiting: Waiting) -> None:
        """Write what arrives, and refuse it when it is not what was announced."""
        digest = hashlib.sha256()
        size = 0
        with part.open("wb") as target:
            for piece in pieces:
                size += len(piece)
                if size > file.size:
                    break
                digest.update(piece)
                target.write(piece)
                waiting()
        if size != file.size or digest.hexdigest() != file.sha256:
            msg = f"{size} bytes came that are not the {file.size} bytes of {file.name}"
            raise FetchError(msg)
        os.chmod(part, 0o444)


def _folder_key(package: str, files: Iterable[tuple[str, str]]) -> str:
    listed = sorted((_checked(name), sha256) for name, sha256 in files)
    return hashlib.sha256(json.dumps([package, listed]).encode()).hexdigest()


def _checked(name: str) -> str:
    """Return a file's name when it is nothing but a name."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        msg = f"the job names a file {name!r}, which is no plain file name"
        raise FetchError(msg)
    return name


def _local(file: File) -> Path | None:
    """Return the file of a ``file:`` URL when it is here and has the right size."""
    if file.url is None:
        return None
    parts = urlsplit(file.url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = Path(unquote(parts.path))
    try:
        right = path.stat().st_size == file.size and os.access(path, os.R_OK)
    except OSError:
        return None
    return path if right else None


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _read_url(url: str) -> Iterator[bytes]:
    import fsspec  # only where URLs of other file systems are used

    with fsspec.open(url, "rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _hash_of(pieces: Iterator[bytes], waiting: Callable[[], object]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        waiting()
    return digest.hexdigest()


def _place(source: Path, target: Path) -> None:
    """Let a file of the cache appear under a name, without a second copy where that is possible."""
    if source.stat().st_mode & 0o222 == 0:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    os.chmod(target, 0o444)
