"""Datasets: create, upload, split, look at, delete."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datarun_ext.client.codec import Content, csv_bytes, pack
from datarun_ext.client.data import Dataset, Preview, Task, Upload
from datarun_ext.client.tasks import Tasks
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.uploads import Progress, Uploads
from datarun_ext.client.values import ServerFile
from datarun_ext.protocol import Limits

INLINE = 256 * 1024
"""Bytes of files that travel inside the JSON; larger ones are uploaded on their own."""

Source = str | PathLike[str] | ServerFile | Upload | Any
"""Path of a file, a `ServerFile`, a finished `Upload`, or a data frame."""

LimitsLike = Limits | Mapping[str, float]


class Datasets:
    """The server's datasets."""

    def __init__(self, transport: Transport, uploads: Uploads, tasks: Tasks) -> None:
        self._transport = transport
        self._uploads = uploads
        self._tasks = tasks

    def list(self, *, limit: int | None = None) -> list[Dataset]:
        """Return the datasets, oldest first."""
        pages = self._transport.pages("runapp/rawdata/", limit=limit, view="full")
        return [parse(Dataset, answer) for answer in pages]

    def get(self, dataset: Dataset | int | str) -> Dataset:
        """Return a dataset by its id or its name.

        Raises
        ------
        LookupError
            If no dataset has that name.
        NotFound
            If no dataset has that id.
        """
        if isinstance(dataset, str):
            known = self.list()
            for one in known:
                if one.name == dataset:
                    return one
            names = ", ".join(one.name for one in known) or "none"
            msg = f"There is no dataset called {dataset!r}; the server has: {names}."
            raise LookupError(msg)
        return parse(Dataset, self._transport.get(self._path(dataset)))

    def create(
        self,
        name: str,
        data: Source | Sequence[Source] | Mapping[str, Content],
        *,
        target_column: str,
        workflow_elements: str | Iterable[str],
        limits: LimitsLike | None = None,
        progress: Progress | None = None,
    ) -> Dataset:
        """Create a dataset on the server and return it.

        Parameters
        ----------
        name : str
            Unique, at most 40 characters.
        data : path, data frame, ServerFile, Upload, a list of these, or a mapping
            One CSV file whose first row holds the column names; or, for a custom dataset, its
            files, one of them a ``.py`` with the five functions. A mapping is
            ``{file name: content}``.
        target_column : str
            The column to predict.
        workflow_elements : str or iterable of str
            E.g. ``"feature_extractor, classifier"``.
        limits : Limits or mapping, optional
            What folds of this dataset may use, where it differs from the server's default.
        progress : callable, optional
            Called with (bytes that have arrived, size) while a big file is sent.
        """
        elements = workflow_elements
        if not isinstance(elements, str):
            elements = ", ".join(elements)
        body: dict[str, Any] = {
            "name": name,
            "target_column": target_column,
            "workflow_elements": elements,
            **self._sources(name, data, progress),
        }
        if limits is not None:
            body["limits"] = limits_body(limits)
        created = parse(Dataset, self._transport.post("runapp/rawdata/", body))
        return self.get(created.id)

    def _sources(self, name: str, data: object, progress: Progress | None) -> dict[str, Any]:
        files: dict[str, str] = {}
        uploads: dict[str, str] = {}
        server_files: dict[str, str] = {}
        if isinstance(data, Mapping):
            members: list[tuple[str, object]] = list(data.items())
        elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
            members = [("", one) for one in data]
        else:
            members = [("", data)]
        for given_name, source in members:
            if isinstance(source, ServerFile):
                server_files[given_name or Path(source.path).name] = source.path
            elif isinstance(source, Upload):
                uploads[given_name or source.name] = source.id
            elif isinstance(source, PathLike) or (isinstance(source, str) and not given_name):
                path = Path(source).expanduser()
                if path.stat().st_size > INLINE:
                    uploads[given_name or path.name] = self.upload(path, progress=progress).id
                else:
                    files[given_name or path.name] = pack(path.read_bytes())
            else:
                content = source if isinstance(source, bytes) else _text_or_frame(source)
                self._content(given_name or f"{name}.csv", content, files, uploads, progress)
        parts = {"files": files, "uploads": uploads, "server_files": server_files}
        return {key: value for key, value in parts.items() if value}

    def _content(
        self,
        name: str,
        content: bytes,
        files: dict[str, str],
        uploads: dict[str, str],
        progress: Progress | None,
    ) -> None:
        if len(content) <= INLINE:
            files[name] = pack(content)
            return
        with TemporaryDirectory(prefix="datarun-") as folder:
            path = Path(folder) / "upload"
            path.write_bytes(content)
            uploads[name] = self._uploads.send(path, name=name, progress=progress).id

    def upload(
        self,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Upload:
        """Send a big file ahead, in resumable parts; give the result to `create`."""
        return self._uploads.send(path, name=name, progress=progress)

    def split(
        self, dataset: Dataset | int, held_out_test: float, *, random_state: int = 42
    ) -> Task:
        """Split a standard dataset into train and test; return the task to wait for.

        Parameters
        ----------
        dataset : Dataset or int
        held_out_test : float or int
            Fraction, or number of rows, of the test set.
        random_state : int
            The same number gives the same split.
        """
        body = {
            "raw_data_id": ident(dataset),
            "held_out_test": held_out_test,
            "random_state": random_state,
        }
        answer = self._transport.post("runapp/rawdata/split/", body)
        return self._tasks.get(str(answer["task_id"]))

    def custom_split(self, dataset: Dataset | int) -> Task:
        """Let a custom dataset's ``specific.py`` split it; return the task to wait for."""
        body = {"raw_data_id": ident(dataset)}
        answer = self._transport.post("runapp/rawdata/customsplit/", body)
        return self._tasks.get(str(answer["task_id"]))

    def preview(self, dataset: Dataset | int, *, rows: int = 20) -> Preview:
        """Return the first rows of a dataset, and how often each label occurs."""
        return parse(Preview, self._transport.get(self._path(dataset) + "preview/", rows=rows))

    def download(self, dataset: Dataset | int, name: str, target: str | PathLike[str]) -> Path:
        """Save a file of a dataset; return where.

        Parameters
        ----------
        target : path
            A file, or an existing folder.
        """
        path = Path(target).expanduser()
        path = path / name if path.is_dir() else path
        url = f"{self._path(dataset)}file/{name}/"
        with self._transport.raw("GET", url, stream=True) as response, path.open("wb") as file:
            response.raw.decode_content = True
            shutil.copyfileobj(response.raw, file, 1 << 20)
        return path

    def delete(self, dataset: Dataset | int) -> None:
        """Delete a dataset with its files, submissions and folds; running ones are stopped."""
        self._transport.delete(self._path(dataset))

    @staticmethod
    def _path(dataset: Dataset | int) -> str:
        return f"runapp/rawdata/{ident(dataset)}/"


def ident(thing: Dataset | int) -> int:
    """Return the id of a dataset, or the id itself."""
    return thing.id if isinstance(thing, Dataset) else int(thing)


def limits_body(limits: LimitsLike) -> dict[str, Any]:
    """Return limits as they are sent: only those that were set."""
    if isinstance(limits, Limits):
        return limits.model_dump(exclude_unset=True)
    return dict(limits)


def _text_or_frame(source: object) -> bytes:
    if isinstance(source, str):
        return source.encode()
    if hasattr(source, "to_csv") or hasattr(source, "write_csv"):
        return csv_bytes(source)
    msg = (
        f"data is {type(source).__name__}: give the path of a CSV file, a pandas or polars frame, "
        "a ServerFile, an Upload, a list of these, or {file name: content}"
    )
    raise TypeError(msg)
