"""The database: what is true. Every other part of the master reads and writes through these."""

from datarun_ext.models.base import Base
from datarun_ext.models.event import Event
from datarun_ext.models.fold import FINAL, RUNNING, Priority, Stage, State, SubmissionFold
from datarun_ext.models.raw_data import RawData, SplitState, StoredFile
from datarun_ext.models.runner import Lock, Runner
from datarun_ext.models.submission import Submission
from datarun_ext.models.task import Task, TaskKind, TaskState
from datarun_ext.models.upload import Upload
from datarun_ext.models.user import User

__all__ = [
    "FINAL",
    "RUNNING",
    "Base",
    "Event",
    "Lock",
    "Priority",
    "RawData",
    "Runner",
    "SplitState",
    "Stage",
    "State",
    "StoredFile",
    "Submission",
    "SubmissionFold",
    "Task",
    "TaskKind",
    "TaskState",
    "Upload",
    "User",
]
