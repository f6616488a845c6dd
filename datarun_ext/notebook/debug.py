"""A fold, rebuilt here: same data, same rows, same code, so that its error can be looked into."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType

from datarun_ext.client import Client, Dataset, Fold

CODE = "datarun_submission"
DATA = "datarun_data"
"""Names of the packages, as on a runner: tracebacks look the same."""

SCRIPT = '''"""Fold {fold} of submission {submission} on dataset {dataset!r}, as a runner trains it.

    python reproduce.py                 to see the error
    python -m pdb -c continue reproduce.py    to stand where it happens

Needs datarun; on the runner were: {versions}
"""

from pathlib import Path
from types import TracebackType

import numpy as np

from datarun_ext.notebook.replay import replay

HERE = Path(__file__).parent

if __name__ == "__main__":
    result = replay(
        code=HERE / "{code}",
        data=HERE / "{data}",
        kind={kind!r},
        target_column={target!r},
        workflow_elements={elements!r},
        train_is=np.load(HERE / "train_is.npy"),
    )
    print("The fold was trained and tested without an error.", result)
'''


class VersionsDiffer(UserWarning):
    """The runner that failed had other versions of packages."""


@dataclass
class Rebuilt:
    """A fold's files in a folder of their own.

    Attributes
    ----------
    folder : Path
        Holds the submission, the dataset, the rows to train on, and a script that trains.
    """

    folder: Path
    fold: Fold
    dataset: Dataset
    differing: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Package -> (version on the runner, version here)."""

    @classmethod
    def of(cls, client: Client, fold: Fold | int, folder: Path | None = None) -> Rebuilt:
        """Fetch all that a fold consists of.

        Parameters
        ----------
        folder : Path, optional
            Where to put it; by default a new temporary folder.

        Raises
        ------
        FileExistsError
            If the folder exists and is not empty.
        """
        import numpy as np

        found = client.folds.get(fold)
        assert found.submission is not None
        assert found.dataset is not None
        submission = client.submissions.get(found.submission)
        dataset = client.datasets.get(found.dataset)
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix=f"datarun-fold-{found.id}-"))
        elif folder.exists() and any(folder.iterdir()):
            msg = f"{folder} is not empty: name a new folder"
            raise FileExistsError(msg)
        for part in (CODE, DATA):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for file in submission.files:
            content = client.submissions.file_bytes(submission, file.name)
            (folder / CODE / file.name).write_bytes(content)
        for file in dataset.files:
            client.datasets.download(dataset, file.name, folder / DATA / file.name)
        np.save(folder / "train_is.npy", client.folds.indices(found).train)
        rebuilt = cls(folder, found, dataset, _differing(client, found))
        rebuilt._write_script(client)
        return rebuilt

    def _write_script(self, client: Client) -> None:
        on_runner = _runner_versions(client, self.fold)
        text = SCRIPT.format(
            fold=self.fold.id,
            submission=self.fold.submission,
            dataset=self.dataset.name,
            versions=", ".join(f"{k} {v}" for k, v in on_runner.items()) or "unknown",
            code=CODE,
            data=DATA,
            kind=self.dataset.kind,
            target=self.dataset.target_column,
            elements=self.elements,
        )
        (self.folder / "reproduce.py").write_text(text)

    @property
    def elements(self) -> tuple[str, ...]:
        """The workflow elements of the dataset."""
        names = self.dataset.workflow_elements.split(",")
        return tuple(name.strip() for name in names if name.strip())

    def run(self) -> None:
        """Train and test here; raises what the submission raises.

        The seed is the submission's own affair: what it leaves to chance differs here too.
        """
        import numpy as np

        from datarun_ext.notebook.replay import replay

        if self.differing:
            shown = ", ".join(f"{k} {v[0]} there, {v[1]} here" for k, v in self.differing.items())
            warnings.warn(f"The runner had other versions: {shown}", VersionsDiffer, stacklevel=2)
        with _own_modules():
            replay(
                code=self.folder / CODE,
                data=self.folder / DATA,
                kind=self.dataset.kind,
                target_column=self.dataset.target_column,
                workflow_elements=self.elements,
                train_is=np.load(self.folder / "train_is.npy"),
            )

    def own_frames(self, error: BaseException) -> TracebackType | None:
        """Return the part of an error's traceback that is in the submission, or all of it."""
        trace = error.__traceback__
        while trace is not None:
            if Path(trace.tb_frame.f_code.co_filename).is_relative_to(self.folder):
                return trace
            trace = trace.tb_next
        return error.__traceback__

    def zip(self, target: Path) -> Path:
        """Write everything into one zip file; return it."""
        base = target.with_suffix("") if target.suffix == ".zip" else target
        return Path(shutil.make_archive(str(base), "zip", self.folder))


@contextlib.contextmanager
def _own_modules() -> Iterator[None]:
    """Import a submission's modules afresh, and leave neither them nor the path changed."""
    path, paths = list(sys.path), os.environ.get("PYTHONPATH")

    def forget() -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] in (CODE, DATA)]:
            del sys.modules[name]

    forget()
    try:
        yield
    finally:
        forget()
        sys.path[:] = path
        if paths is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = paths


def _runner_versions(client: Client, fold: Fold) -> dict[str, str]:
    for runner in client.runners():
        if runner.name == fold.runner:
            return runner.versions
    return {}


def _differing(client: Client, fold: Fold) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for name, there in _runner_versions(client, fold).items():
        try:
            here = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            here = "none"
        if here != there:
            found[name] = (there, here)
    return found
