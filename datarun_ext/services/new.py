"""What clients send to be taken in: a dataset, a submission, its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datarun_ext.models import Priority


@dataclass(frozen=True, kw_only=True)
class NewDataset:
    """What a client sends to make a dataset: files by name, from up to three sources."""

    name: str
    target_column: str
    workflow_elements: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    uploads: Mapping[str, str] = field(default_factory=dict)
    """File name -> id of a finished upload."""
    server_files: Mapping[str, Path] = field(default_factory=dict)
    """File name -> a file of the server that the person may read."""
    limits: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the names of all files in the order in which they were sent."""
        return [*self.files, *self.uploads, *self.server_files]


@dataclass(frozen=True, kw_only=True)
class Indices:
    """Train and test indices of a fold, as they came over the wire and already checked."""

    train_is: str
    test_is: str
    highest: int
    """The largest index in either."""


@dataclass(frozen=True, kw_only=True)
class NewFold:
    """One fold to train, and when they are new its submission's files."""

    indices: Indices
    fold_id: int | None = None
    priority: Priority = Priority.LOW
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NewSubmission:
    """Files and where they belong; only what is not known yet needs to be sent."""

    folds: Sequence[NewFold]
    submission_id: int | None = None
    raw_data_id: int | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    name: str = ""
    cv: str = ""
    replace_submission: bool = False
    replace_fold: bool = False
    must_be_new: bool = False
    """Whether an existing submission is an error rather than what the folds are added to."""
