"""The client functions of datarun 0.4 (its ``test_files.post_api``), unchanged for their callers.

Every function takes the server's address, a user and a password, and returns the answer as
`requests.Response`. New programs use `datarun_ext.client.Client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from datarun_ext.client.codec import pack, pack_indices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "custom_post_split",
    "get_prediction_list",
    "get_prediction_new",
    "get_raw_data",
    "get_submission_fold",
    "get_submission_fold_detail",
    "get_submission_fold_light",
    "post_data",
    "post_split",
    "post_submission_fold",
]

FileName = str | PathLike[str]


def _url(host_url: str, path: str) -> str:
    return f"{host_url.rstrip('/')}/runapp/{path}/"


def _get(host_url: str, username: str, password: str, path: str) -> requests.Response:
    return requests.get(_url(host_url, path), auth=(username, password))


def _post(
    host_url: str, username: str, password: str, path: str, data: dict[str, Any]
) -> requests.Response:
    return requests.post(_url(host_url, path), auth=(username, password), json=data)


def _files(names: Iterable[FileName]) -> dict[str, str]:
    return {Path(name).name: pack(Path(name).read_bytes()) for name in names}


def post_data(
    host_url: str,
    username: str,
    password: str,
    data_name: str,
    target_column: str,
    workflow_elements: str,
    data_file: FileName,
    extra_files: Sequence[FileName] | None = None,
) -> requests.Response:
    """Send a dataset; its files travel compressed with zlib and base64-encoded.

    Parameters
    ----------
    host_url : str
        Address of the server, such as ``http://127.0.0.1:8000/``.
    username, password : str
        A datarun user.
    data_name : str
        Name of the dataset.
    target_column : str
        Name of the target column.
    workflow_elements : str
        E.g. ``"feature_extractor, classifier"``.
    data_file : str
        Path of the dataset's file.
    extra_files : list of str, optional
        Paths of extra files, such as a ``specific.py``.
    """
    data = {
        "name": data_name,
        "target_column": target_column,
        "workflow_elements": workflow_elements,
        "files": _files([data_file, *(extra_files or ())]),
    }
    return _post(host_url, username, password, "rawdata", data)


def post_split(
    host_url: str,
    username: str,
    password: str,
    held_out_test: float,
    raw_data_id: int,
    random_state: int = 42,
) -> requests.Response:
    """Split a standard dataset into train and test; the answer holds the ``task_id``.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    held_out_test : float
        Ratio of the data that becomes the test set.
    raw_data_id : int
        Id of the dataset.
    random_state : int
        Seed of the shuffle.
    """
    data = {
        "random_state": random_state,
        "held_out_test": held_out_test,
        "raw_data_id": int(raw_data_id),
    }
    return _post(host_url, username, password, "rawdata/split", data)


def custom_post_split(
    host_url: str, username: str, password: str, raw_data_id: int
) -> requests.Response:
    """Split a custom dataset by the ``prepare_data`` of its ``specific.py``.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    raw_data_id : int
        Id of the dataset.
    """
    data = {"raw_data_id": int(raw_data_id)}
    return _post(host_url, username, password, "rawdata/customsplit", data)


def post_submission_fold(
    host_url: str,
    username: str,
    password: str,
    sub_id: int,
    sub_fold_id: int,
    train_is: ArrayLike,
    test_is: ArrayLike,
    priority: str = "L",
    raw_data_id: int | None = None,
    list_submission_files: Sequence[FileName] | None = None,
    force: str | None = None,
) -> requests.Response:
    """Send a submission on one fold, and the submission itself if it was not sent before.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    sub_id : int
        Id of the submission.
    sub_fold_id : int
        Id of the submission on this fold.
    train_is, test_is : numpy array
        Train and test indices of the fold.
    priority : str
        L for low and H for high.
    raw_data_id : int, optional
        Id of the dataset, when sending a submission.
    list_submission_files : list of str, optional
        Paths of the submission's files, when sending a submission.
    force : str, optional
        ``"submission, submission_fold"`` to send both again although their ids exist,
        ``"submission_fold"`` for the fold alone.
    """
    data: dict[str, Any] = {
        "databoard_sf_id": int(sub_fold_id),
        "databoard_s_id": int(sub_id),
        "train_is": pack_indices(train_is),
        "test_is": pack_indices(test_is),
        "priority": priority,
    }
    if raw_data_id is not None:
        data["raw_data"] = int(raw_data_id)
    if list_submission_files is not None:
        data["files"] = _files(list_submission_files)
    if force is not None:
        data["force"] = force
    return _post(host_url, username, password, "submissionfold", data)


def get_raw_data(host_url: str, username: str, password: str) -> requests.Response:
    """Get all datasets.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    """
    return _get(host_url, username, password, "rawdata")


def get_submission_fold(host_url: str, username: str, password: str) -> requests.Response:
    """Get all submissions on folds, with all their fields.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    """
    return _get(host_url, username, password, "submissionfold")


def get_submission_fold_light(host_url: str, username: str, password: str) -> requests.Response:
    """Get id, submission, state and new of all submissions on folds.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    """
    return _get(host_url, username, password, "submissionfold-light")


def get_submission_fold_detail(
    host_url: str, username: str, password: str, submission_fold_id: int
) -> requests.Response:
    """Get one submission on a fold, with all its fields.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    submission_fold_id : int
        Its id.
    """
    return _get(host_url, username, password, f"submissionfold/{int(submission_fold_id)}")


def get_prediction_list(
    host_url: str, username: str, password: str, list_submission_fold_id: Sequence[int]
) -> requests.Response:
    """Get predictions, given a list of ids of submissions on folds.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    list_submission_fold_id : list of int
        Their ids.
    """
    data = {"list_submission_fold": [int(ident) for ident in list_submission_fold_id]}
    return _post(host_url, username, password, "testpredictions/list", data)


def get_prediction_new(
    host_url: str, username: str, password: str, raw_data_id: int
) -> requests.Response:
    """Get all predictions on a dataset that have not been asked for yet.

    Parameters
    ----------
    host_url : str
        Address of the server.
    username, password : str
        A datarun user.
    raw_data_id : int
        Id of the dataset.
    """
    data = {"raw_data_id": int(raw_data_id)}
    return _post(host_url, username, password, "testpredictions/new", data)
