"""The files of a submission that is being taken in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datarun_ext.services.files import clean_names, hash_contents, hash_file, write_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Files of a submission that are on disk, and where they will stand when all is right."""

    folder: Path
    place: Path
    """A folder of its own for each version: who still reads the old one is not disturbed."""
    files: Mapping[str, tuple[str, int]]
    """Name -> sha256 and size."""
    hash_files: str


def write_files(folder: Path, files: Mapping[str, bytes]) -> Written:
    """Write the files of a submission into a new folder, and say what they are."""
    clean = clean_names(files)
    write_all(folder, {clean[name]: data for name, data in files.items()})
    return Written(
        folder=folder,
        place=folder.parent / uuid.uuid4().hex,
        files={name: hash_file(folder / name) for name in clean.values()},
        hash_files=hash_contents(files.values()),
    )
