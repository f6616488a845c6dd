"""Files on the master's disk: names that are safe, contents that are whole."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO
from unicodedata import category, normalize

from datarun_ext.errors import InvalidField, NoSpace

CHUNK = 1 << 20
NAME_MAX = 200
DISK_RESERVE = 64 << 20
"""Bytes that must stay free: the database and the logs need room to say that the disk is full."""


def clean_name(name: str, *, field: str = "files") -> str:
    """Return a file or dataset name that cannot leave its folder.

    Raises
    ------
    InvalidField
        If it has a path in it, control or invisible characters, a leading dot, or is too long.
    """
    name = normalize("NFC", name)
    if not name or len(name.encode("utf-8", "replace")) > NAME_MAX:
        raise InvalidField(field, f"A name has 1 to {NAME_MAX} bytes; {name[:50]!r} has not.")
    if "/" in name or "\\" in name or name.startswith("."):
        raise InvalidField(
            field, f"{name!r} has a path in it or begins with a dot: send the bare file name."
        )
    bad = [char for char in name if category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
    if bad:
        raise InvalidField(field, f"{name!r} has the invisible character {bad[0]!r} in its name.")
    return name


def clean_names(names: Iterable[str], *, field: str = "files") -> dict[str, str]:
    """Return the clean form of each of several names that are to stand in one folder."""
    seen: dict[str, str] = {}
    clean: dict[str, str] = {}
    for name in names:
        clean[name] = clean_name(name, field=field)
        folded = clean[name].casefold()
        if folded in seen:
            raise InvalidField(field, f"{name!r} and {seen[folded]!r} are the same file name.")
        seen[folded] = name
    return clean


def hash_file(path: Path) -> tuple[str, int]:
    """Return a file's sha256 and size."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), os.fstat(stream.fileno()).st_size


def hash_contents(contents: Iterable[bytes]) -> str:
    """Return datarun 0.4's `hash_files`: base64(md5 of the contents, one after the other)."""
    digest = hashlib.md5(usedforsecurity=False)
    for content in contents:
        digest.update(content)
    return base64.b64encode(digest.digest()).decode("ascii")


def check_space(folder: Path, wanted: int) -> None:
    """Refuse to begin what will not fit.

    Raises
    ------
    NoSpace
        With the folder and what is missing.
    """
    free = shutil.disk_usage(folder).free - DISK_RESERVE
    if wanted > free:
        msg = (
            f"The server's disk has {max(free, 0) >> 20} MB left for {wanted >> 20} MB. "
            "Delete datasets that are no longer needed, or ask the operator for space."
        )
        raise NoSpace(msg)


@contextmanager
def disk_full() -> Iterator[None]:
    """Say in our own words that the disk is full. Raises NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            msg = "The server's disk is full. Delete datasets that are no longer needed."
            raise NoSpace(msg) from error
        raise


@asynccontextmanager
async def staging(parent: Path) -> AsyncIterator[Path]:
    """Yield a new folder that is gone afterwards, unless it was renamed to its final place.

    Raises
    ------
    NoSpace
        If the disk fills up meanwhile.
    """
    folder = parent / f".new-{uuid.uuid4().hex}"
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
    try:
        with disk_full():
            yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder."""
    check_space(folder, sum(len(data) for data in files.values()))
    for name, data in files.items():
        (folder / name).write_bytes(data)


def copy_stream(source: BinaryIO, target: BinaryIO) -> str:
    """Copy and return the sha256 of what was copied."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def remove_folders(folders: Sequence[Path]) -> None:
    """Remove folders; each vanishes at once from its place and then, slowly, from the disk."""
    for folder in folders:
        gone = folder.with_name(f".gone-{uuid.uuid4().hex}")
        try:
            folder.rename(gone)
        except FileNotFoundError:
            continue
        shutil.rmtree(gone, ignore_errors=True)


def remove_stale(parent: Path, *, older_than_s: float, now: float) -> None:
    """Remove what a server left that was killed while it wrote."""
    if not parent.is_dir():
        return
    for entry in parent.iterdir():
        stale = entry.name.startswith((".new-", ".gone-")) or entry.suffix == ".part"
        try:
            if stale and now - entry.stat().st_mtime > older_than_s:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except OSError:
            continue
