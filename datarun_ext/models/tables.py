"""The tables behind the models, for statements that every fold passes through.

A statement on a table costs a fifth of the same statement on a mapped class.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table

from datarun_ext.models.event import Event
from datarun_ext.models.fold import SubmissionFold
from datarun_ext.models.raw_data import RawData, StoredFile
from datarun_ext.models.runner import Runner
from datarun_ext.models.task import Task

EVENTS = cast(Table, Event.__table__)
FILES = cast(Table, StoredFile.__table__)
FOLDS = cast(Table, SubmissionFold.__table__)
RAW_DATA = cast(Table, RawData.__table__)
RUNNERS = cast(Table, Runner.__table__)
TASKS = cast(Table, Task.__table__)
