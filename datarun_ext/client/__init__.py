"""The client: send datasets and submissions, watch their folds, fetch predictions.

Knows a server only by its REST interface and its websocket; imports nothing of the master.
"""

from datarun_ext.client.client import Client
from datarun_ext.client.data import (
    Dataset,
    FileInfo,
    Fold,
    FoldLog,
    Health,
    Preview,
    Priority,
    Runner,
    Stage,
    Standing,
    State,
    Submission,
    Task,
    Upload,
    User,
)
from datarun_ext.client.errors import (
    ClientError,
    Conflict,
    DatarunHTTPError,
    Deleted,
    NotConnected,
    NotDatarun,
    NotFound,
    PreflightFailed,
    Refused,
    Unavailable,
    WaitTimeout,
)
from datarun_ext.client.events import EventStream
from datarun_ext.client.tasks import TaskFailed
from datarun_ext.client.values import (
    CrossValidation,
    Event,
    Indices,
    LogText,
    Predictions,
    ServerFile,
    Snapshot,
)

__all__ = [
    "Client",
    "ClientError",
    "Conflict",
    "CrossValidation",
    "DatarunHTTPError",
    "Dataset",
    "Deleted",
    "Event",
    "EventStream",
    "FileInfo",
    "Fold",
    "FoldLog",
    "Health",
    "Indices",
    "LogText",
    "NotConnected",
    "NotDatarun",
    "NotFound",
    "Predictions",
    "PreflightFailed",
    "Preview",
    "Priority",
    "Refused",
    "Runner",
    "ServerFile",
    "Snapshot",
    "Stage",
    "Standing",
    "State",
    "Submission",
    "Task",
    "TaskFailed",
    "Unavailable",
    "Upload",
    "User",
    "WaitTimeout",
]
