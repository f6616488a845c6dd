"""What a data scientist holds in a notebook: datasets, submissions and folds as live objects.

Built on `datarun_ext.client`; knows nothing of the server but its REST interface.
"""

from datarun_ext.notebook.crossval import (
    cross_val_predict,
    cross_val_score,
    cross_validate,
    pool,
)
from datarun_ext.notebook.current import (
    connect,
    dataset,
    datasets,
    fold,
    health,
    runners,
    submission,
    submissions,
    submit,
    upload,
)
from datarun_ext.notebook.failures import FoldFailed
from datarun_ext.notebook.objects.dataset import Dataset
from datarun_ext.notebook.objects.fold import Fold
from datarun_ext.notebook.objects.submission import Submission
from datarun_ext.notebook.plots import Chart
from datarun_ext.notebook.session import Session

__all__ = [
    "Chart",
    "Dataset",
    "Fold",
    "FoldFailed",
    "Session",
    "Submission",
    "connect",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "dataset",
    "datasets",
    "fold",
    "health",
    "pool",
    "runners",
    "submission",
    "submissions",
    "submit",
    "upload",
]
