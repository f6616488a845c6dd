"""Datasets: taken in whole or not at all, listed, looked into, deleted with what hangs on them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload, undefer
from sqlalchemy.orm.interfaces import ORMOption

from datarun_ext.config import Settings
from datarun_ext.errors import Forbidden, InvalidField, NotAcceptable, NotFound
from datarun_ext.models import RawData, Stage, StoredFile, SubmissionFold, Upload
from datarun_ext.services.announce import dataset_event
from datarun_ext.services.database import Database, now
from datarun_ext.services.events import record
from datarun_ext.services.files import (
    clean_name,
    clean_names,
    hash_file,
    remove_folders,
    staging,
    write_all,
)
from datarun_ext.services.new import NewDataset
from datarun_ext.services.principal import Principal
from datarun_ext.services.uploads import Uploads

NAME_TAKEN = "RawData with this name already exists."
SPECIFIC = "specific.py"
IDS_MAX = 10_000
"""Ids in one statement: databases take no more than some ten thousand parameters."""


class Datasets:
    """Keeps datasets."""

    def __init__(self, *, db: Database, settings: Settings, uploads: Uploads) -> None:
        self.db = db
        self.settings = settings
        self.uploads = uploads

    async def list(
        self,
        *,
        who: Principal,
        limit: int | None = None,
        cursor: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[RawData]:
        """Return the datasets that they may see, by id."""
        return await self.db.read(
            _list, who=who, limit=limit, cursor=cursor, newest_first=newest_first
        )

    async def get(self, *, who: Principal, raw_data_id: int, labels: bool = False) -> RawData:
        """Return one dataset with its files, and its labels if asked for. Raises NotFound."""
        return await self.db.read(visible, who=who, raw_data_id=raw_data_id, labels=labels)

    async def counts(self, *, raw_data_ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return, for each of these datasets, how many of its folds are in each state."""
        return await self.db.read(_counts, raw_data_ids=raw_data_ids)

    async def create(self, *, who: Principal, new: NewDataset) -> RawData:
        """Take in a dataset.

        Raises
        ------
        InvalidField
            If the name is taken, or a name of a file or an upload is wrong.
        NotAcceptable
            If there are several files and none is Python (`specific.py`).
        NoSpace
            If the disk is full.
        """
        new = replace(new, name=clean_name(new.name, field="name"))
        targets = _targets(new)
        if await self.db.read(_name_taken, name=new.name):
            raise InvalidField("name", NAME_TAKEN)
        uploads = [
            await self._finished(who=who, upload_id=upload_id) for upload_id in new.uploads.values()
        ]
        sources = {
            **{name: self.uploads.path(up) for name, up in zip(new.uploads, uploads, strict=True)},
            **new.server_files,
        }
        async with staging(self.settings.dataset_dir) as folder:
            files = await asyncio.to_thread(_fill, folder, new, targets, sources)
            try:
                dataset = await self.db.write(
                    _insert, who=who, new=new, files=files, folder=folder, uploads=uploads
                )
            except IntegrityError as error:
                if not await self.db.read(_name_taken, name=new.name):
                    raise
                raise InvalidField("name", NAME_TAKEN) from error
        for upload in uploads:
            await asyncio.to_thread(self.uploads.path(upload).unlink, missing_ok=True)
        return dataset

    async def delete(self, *, who: Principal, raw_data_id: int) -> None:
        """Delete a dataset, its submissions and folds, and all their files.

        Folds that run are ended by their runners as soon as they ask.
        """
        folders = await self.db.write(_delete, who=who, raw_data_id=raw_data_id)
        await asyncio.to_thread(remove_folders, folders)

    def server_file(self, *, who: Principal, root: Path, path: str) -> Path:
        """Return a file below the Jupyter server's root folder.

        Raises
        ------
        Forbidden
            If they are no superuser: the files are those of the server's own person.
        InvalidField
            If there is none, or it is elsewhere (links are followed first).
        """
        if not who.is_superuser:
            msg = "Only a superuser may use files of the server: upload the file instead."
            raise Forbidden(msg)
        try:
            found = (root / path.lstrip("/")).resolve(strict=True)
        except (OSError, ValueError) as error:
            raise InvalidField("server_files", f"There is no file {path!r} here.") from error
        if not found.is_relative_to(root.resolve()) or not found.is_file():
            raise InvalidField("server_files", f"{path!r} is no file below the server's folder.")
        return found

    async def _finished(self, *, who: Principal, upload_id: str) -> Upload:
        try:
            upload = await self.uploads.get(who=who, upload_id=upload_id)
        except NotFound as error:
            raise InvalidField("uploads", f"There is no upload {upload_id!r}.") from error
        if not upload.complete:
            here = self.uploads.received(upload)
            raise InvalidField(
                "uploads",
                f"Upload {upload_id!r} has {here} of {upload.size} bytes: send the rest first.",
            )
        if not self.uploads.path(upload).exists():
            raise InvalidField("uploads", f"Upload {upload_id!r} has been used: send it again.")
        return upload


def visible(session: Session, *, who: Principal, raw_data_id: int, labels: bool = False) -> RawData:
    """Return a dataset that they may see, with its files. Raises NotFound."""
    options: list[ORMOption] = [selectinload(RawData.files)]
    if labels:
        options.append(undefer(RawData.labels))
    dataset = session.get(RawData, raw_data_id, options=options)
    if dataset is None or not who.may_see(dataset.owner):
        raise NotFound
    return dataset


def _targets(new: NewDataset) -> dict[str, str]:
    """Map each name that was sent to the name it is kept under."""
    names = new.names()
    clean = clean_names(names)
    if not names:
        raise InvalidField("files", "This field may not be empty: send at least one file.")
    if len(names) == 1:
        return {names[0]: f"{new.name}.csv"}
    python = [name for name in names if name.endswith(".py")]
    if not python:
        msg = (
            "Submit a specific.py (with prepare_data, get_train_data, get_test_data, "
            "train_submission and test_submission) when submitting several files"
        )
        raise NotAcceptable(msg)
    code = SPECIFIC if SPECIFIC in python else python[0]
    targets = {name: SPECIFIC if name == code else clean[name] for name in names}
    if len(set(targets.values())) != len(targets):
        raise InvalidField("files", f"{SPECIFIC!r} stands twice.")
    return targets


def _fill(
    folder: Path, new: NewDataset, targets: Mapping[str, str], sources: Mapping[str, Path]
) -> list[StoredFile]:
    write_all(folder, {targets[name]: data for name, data in new.files.items()})
    for name, source in sources.items():
        target = folder / targets[name]
        if name in new.uploads:
            try:
                os.link(source, target)
                continue
            except OSError:
                pass  # a file system without links, or another one: copy
        shutil.copyfile(source, target)
    files = []
    for name in targets.values():
        sha256, size = hash_file(folder / name)
        files.append(StoredFile(name=name, sha256=sha256, size=size, path=""))
    return files


def _name_taken(session: Session, *, name: str) -> bool:
    return session.scalar(select(RawData.id).where(RawData.name == name)) is not None


def _insert(
    session: Session,
    *,
    who: Principal,
    new: NewDataset,
    files: list[StoredFile],
    folder: Path,
    uploads: Sequence[Upload],
) -> RawData:
    dataset = RawData(
        name=new.name,
        target_column=new.target_column,
        workflow_elements=new.workflow_elements,
        owner=who.name,
        is_custom=len(files) > 1,
        limits=dict(new.limits),
        labels={},
        created=now(),
        files=files,
    )
    session.add(dataset)
    session.flush()
    place = folder.parent / str(dataset.id)
    dataset.files_path = str(place)
    for file in files:
        file.path = str(place / file.name)
    dataset_event(session, dataset)
    session.execute(delete(Upload).where(Upload.id.in_([upload.id for upload in uploads])))
    session.flush()
    remove_folders([place])
    folder.rename(place)
    return dataset


def _list(
    session: Session, *, who: Principal, limit: int | None, cursor: int | None, newest_first: bool
) -> Sequence[RawData]:
    query = select(RawData).options(selectinload(RawData.files))
    if not who.is_superuser:
        query = query.where(RawData.owner == who.name)
    if cursor is not None:
        query = query.where(RawData.id < cursor if newest_first else RawData.id > cursor)
    query = query.order_by(RawData.id.desc() if newest_first else RawData.id)
    return session.scalars(query.limit(limit)).all()


def _counts(session: Session, *, raw_data_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {raw_data_id: {} for raw_data_id in raw_data_ids}
    key = SubmissionFold.raw_data_id
    query = select(key, SubmissionFold.stage, func.count()).group_by(key, SubmissionFold.stage)
    for start in range(0, len(raw_data_ids), IDS_MAX):
        part = query.where(key.in_(raw_data_ids[start : start + IDS_MAX]))
        for raw_data_id, stage, count in session.execute(part):
            states, state = counts[raw_data_id], Stage(stage).state
            states[state] = states.get(state, 0) + count
    return counts


def _delete(session: Session, *, who: Principal, raw_data_id: int) -> list[Path]:
    from datarun_ext.models import Submission

    dataset = visible(session, who=who, raw_data_id=raw_data_id)
    paths = session.scalars(
        select(Submission.files_path).where(Submission.raw_data_id == raw_data_id)
    ).all()
    record(
        session,
        at=now(),
        kind="rawdata",
        ref=dataset.id,
        owner=dataset.owner,
        data={"id": dataset.id, "deleted": True},
    )
    session.delete(dataset)
    session.flush()
    return [Path(path) for path in (dataset.files_path, *paths) if path]
