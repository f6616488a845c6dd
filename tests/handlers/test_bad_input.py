"""Whatever comes over HTTP: the right 4xx, the field and the cause, and nothing is stored."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.things import created, dataset, fold, indices, packed, stored

REQUIRED = ["This field is required."]
BLANK = ["This field may not be blank."]
HUGE = "9" * 30


def as_indices(numbers: Sequence[Any], dtype: str) -> str:
    return packed(np.array(numbers, dtype=dtype).tobytes())


@cache
def bomb() -> str:
    """Return 400 kB that become 300 MB."""
    return base64.b64encode(zlib.compress(bytes(300 << 20), 9)).decode()


RAW, SPLIT = "runapp/rawdata/", "runapp/rawdata/split/"
FOLD, SUBMISSION = "runapp/submissionfold/", "runapp/submission/"
X = packed(b"x")
FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    # Texts of a dataset
    (RAW, dataset(target_column=...), "target_column", "This field is required."),
    (RAW, dataset(workflow_elements=...), "workflow_elements", "This field is required."),
    (RAW, dataset(files=...), "files", "This field is required."),
    (RAW, {}, "name", "This field is required."),
    (RAW, dataset(""), "name", "This field may not be blank."),
    (RAW, dataset("   "), "name", "This field may not be blank."),
    (RAW, dataset(target_column=""), "target_column", "This field may not be blank."),
    (RAW, dataset(target_column=None), "target_column", "This field may not be null."),
    (RAW, dataset("n" * 41), "name", "Ensure this field has no more than 40 characters."),
    (
        RAW,
        dataset(target_column="n" * 201),
        "target_column",
        "Ensure this field has no more than 200 characters.",
    ),
    (RAW, dataset(["a"]), "name", "Not a valid string."),
    (RAW, dataset("taken"), "name", "RawData with this name already exists."),
    (RAW, dataset(target_column="a\0b"), "target_column", "Null characters are not allowed."),
    # Names that would leave their folder, or that nobody can tell apart
    (RAW, dataset("../x"), "name", "path"),
    (RAW, dataset("/etc/passwd"), "name", "path"),
    (RAW, dataset("a\\b"), "name", "path"),
    (RAW, dataset(".hidden"), "name", "dot"),
    (RAW, dataset("a\0b"), "name", "invisible"),
    (RAW, dataset("a\u202eb"), "name", "invisible"),
    (RAW, dataset("a\u200bb"), "name", "invisible"),
    (RAW, dataset("a\nb"), "name", "invisible"),
    (RAW, dataset("é" * 40 + "x"), "name", "40 characters"),
    (RAW, dataset("cafe\u0301"), "name", "already exists"),
    (RAW, dataset(files={"../a.csv": X}), "files", "path"),
    (RAW, dataset(files={"/etc/passwd": X}), "files", "path"),
    (RAW, dataset(files={"a/b.csv": X}), "files", "path"),
    (RAW, dataset(files={"..": X}), "files", "dot"),
    (RAW, dataset(files={"": X}), "files", "bytes"),
    (RAW, dataset(files={"x" * 300: X}), "files", "bytes"),
    (RAW, dataset(files={"a\0.py": X, "b": X}), "files", "invisible"),
    (RAW, dataset(files={"A.py": X, "a.py": X}), "files", "same file name"),
    (RAW, dataset(files={"e\u0301.py": X, "é.py": X}), "files", "same file name"),
    # Contents
    (RAW, dataset(files={"a.csv": "@@aGk=@@!!"}), "files", "base64"),
    (RAW, dataset(files={"a.csv": "é"}), "files", "base64"),
    (RAW, dataset(files={"a.csv": "aGk="}), "files", "zlib"),
    (RAW, dataset(files={"a.csv": X[:-8]}), "files", ""),
    (RAW, dataset(files={"a.csv": ""}), "files", "cut off"),
    (RAW, dataset(files={"a.csv": 7}), "files", "base64"),
    (RAW, dataset(files={"a.csv": None}), "files", "null"),
    (RAW, dataset(files=["a"]), "files", "Expected an object"),
    (RAW, dataset(files={}), "files", "empty"),
    (RAW, dataset(uploads={"a.csv": "nothing"}, files=...), "uploads", "no upload"),
    (RAW, dataset(limits={"gpu": 1}), "limits", "gpu"),
    (RAW, dataset(limits={"memory_mb": 10**9}), "limits", "at most"),
    (RAW, dataset(limits={"soft_s": "soon"}), "limits", "soft_s"),
    (RAW, dataset(limits={"soft_s": 0}), "limits", "soft_s"),
    (RAW, dataset(limits=[]), "limits", "Expected an object"),
    # Splits
    (SPLIT, {}, "raw_data_id", "This field is required."),
    (SPLIT, {"raw_data_id": 1}, "held_out_test", "This field is required."),
    (SPLIT, {"raw_data_id": "one", "held_out_test": 0.5}, "raw_data_id", "integer"),
    (SPLIT, {"raw_data_id": 1.5, "held_out_test": 0.5}, "raw_data_id", "integer"),
    (SPLIT, {"raw_data_id": True, "held_out_test": 0.5}, "raw_data_id", "valid number"),
    (SPLIT, {"raw_data_id": int(HUGE), "held_out_test": 0.5}, "raw_data_id", ""),
    (SPLIT, {"raw_data_id": 1, "held_out_test": 0}, "held_out_test", "fraction"),
    (SPLIT, {"raw_data_id": 1, "held_out_test": 1.5}, "held_out_test", "fraction"),
    (SPLIT, {"raw_data_id": 1, "held_out_test": -3}, "held_out_test", "fraction"),
    (SPLIT, {"raw_data_id": 1, "held_out_test": "half"}, "held_out_test", ""),
    (SPLIT, {"raw_data_id": 1, "held_out_test": 0.5, "random_state": -1}, "random_state", ""),
    # Folds
    (FOLD, fold(train_is=...), "train_is", "This field is required."),
    (FOLD, fold(test_is=None), "test_is", "This field may not be null."),
    (FOLD, fold(raw_data=...), "raw_data", "required"),
    (FOLD, fold(files=...), "files", "required"),
    (FOLD, fold("one"), "databoard_sf_id", "integer"),
    (FOLD, fold(-1), "databoard_sf_id", ""),
    (FOLD, fold(2**53), "databoard_sf_id", ""),
    (FOLD, fold(11, int(HUGE)), "databoard_s_id", ""),
    (FOLD, fold(priority="urgent"), "priority", "not a valid choice"),
    (FOLD, fold(priority=1), "priority", "not a valid choice"),
    (FOLD, fold(force="everything"), "force", "not a valid choice"),
    (FOLD, fold(force=True), "force", "Not a valid string."),
    (FOLD, fold(limits={"hard_s": 10**9}), "limits", "at most"),
    (FOLD, fold(limits={"processes": -1}), "limits", "processes"),
    (FOLD, fold(files={"../classifier.py": X}), "files", "path"),
    (FOLD, fold(files={"classifier.py": "aGk="}), "files", "zlib"),
    (FOLD, fold(train_is="hgjhg"), "train_is", "base64"),
    (FOLD, fold(train_is=packed(b"1234567")), "train_is", "64-bit"),
    (FOLD, fold(train_is=as_indices([0, 1, 2], "<i4")), "train_is", "64-bit"),
    (FOLD, fold(train_is=as_indices([True] * 7, "?")), "train_is", "64-bit"),
    (FOLD, fold(train_is=as_indices([1.0, 2.0], "<f8")), "train_is", "int64"),
    (FOLD, fold(train_is=as_indices([2**63], "<u8")), "train_is", "negative"),
    (FOLD, fold(train_is=indices(0, -1)), "train_is", "negative"),
    (FOLD, fold(test_is=indices(-1)), "test_is", "negative"),
    (FOLD, fold(train_is=indices()), "train_is", "at least one"),
    # Submissions
    (SUBMISSION, {"raw_data": 1}, "files", "This field is required."),
    (SUBMISSION, {"raw_data": 1, "files": {"c.py": X}, "folds": []}, "folds", "empty"),
    (SUBMISSION, {"raw_data": 1, "files": {"c.py": X}, "folds": [{}]}, "folds", "required"),
    (SUBMISSION, {"raw_data": 1, "files": {"c.py": X}, "cv": {"kind": "loo"}}, "kind", ""),
    (SUBMISSION, {"raw_data": 1, "files": {"c.py": X}, "cv": {"n_splits": 1}}, "n_splits", ""),
    (SUBMISSION, {"raw_data": 1, "files": {"c.py": X}, "cv": {"k": 1}}, "k", ""),
    ("runapp/testpredictions/list/", {}, "list_submission_fold", "This field is required."),
    ("runapp/testpredictions/list/", {"list_submission_fold": 7}, "list_submission_fold", "list"),
    (
        "runapp/testpredictions/list/",
        {"list_submission_fold": ["x"]},
        "list_submission_fold",
        "integer",
    ),
    ("runapp/testpredictions/new/", {"raw_data_id": "x"}, "raw_data_id", "integer"),
    ("runapp/upload/", {"name": "../x", "size": 1}, "name", "path"),
    ("runapp/upload/", {"name": "x", "size": -1}, "size", ""),
    ("runapp/upload/", {"name": "x", "size": 1.5}, "size", "integer"),
    ("runapp/upload/", {"name": "x", "size": 1, "sha256": "abc"}, "sha256", ""),
]


async def test_fields(api: Api, master: Master) -> None:
    await created(api, RAW, dataset("taken"))
    await created(api, RAW, dataset("caf\u00e9"))
    before = await stored(master)
    wrong = []
    for path, body, name, text in FIELDS:
        status, answer = await api("POST", path, body)
        good = (
            status == 400
            and isinstance(answer, dict)
            and isinstance(answer.get(name), list)
            and all(isinstance(sentence, str) and sentence for sentence in answer[name])
            and text in " ".join(answer[name])
        )
        if not good:
            wrong.append(f"{name} {text!r}: {status} {answer}")
    assert wrong == []
    assert await stored(master) == before


NO_JSON = [
    (b"{", "Expecting"),
    (b" ", "Expecting value"),
    (b"\xff\xfe", "utf-8"),
    (b'{"a": NaN}', "NaN"),
    (b'{"a": -Infinity}', "Infinity"),
    (b'{"a": 1, "a": 2}', "twice"),
    (b'{"a": "\\ud800"}', "surrogates"),
    (b'{"a": ' + b"1" * 5000 + b"}", "digits"),
    (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    (b"{" + b",".join(b'"%d":1' % i for i in range(60_000)) + b',"59999":2}', "twice"),
]


async def test_bodies_that_are_no_json(api: Api, master: Master) -> None:
    await api("GET", RAW)
    before = await stored(master)
    for body, text in NO_JSON:
        for path in (RAW, FOLD):
            response = await api.fetch("POST", path, body)
            answer = json.loads(response.body)
            assert response.code == 400, text
            assert list(answer) == ["detail"], text
            assert answer["detail"].startswith("JSON parse error - ")
            assert text in answer["detail"]
    assert await stored(master) == before


async def test_bodies_that_are_no_object(api: Api) -> None:
    for body, kind in ([], "list"), ("x", "str"), (7, "int"):
        assert await api("POST", RAW, body) == (
            400,
            {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]},
        )


async def test_what_is_too_large(api: Api, master: Master) -> None:
    await created(api, RAW, dataset())
    before = await stored(master)
    for path, body in (
        (RAW, dataset("bomb", files={"a.csv": bomb()})),
        (FOLD, fold(files={"classifier.py": bomb()})),
        ("runapp/upload/", {"name": "x", "size": 2**50}),
    ):
        status, answer = await api("POST", path, body)
        assert (status, list(answer)) == (413, ["detail"]), path
    for name in ("train_is", "test_is"):
        status, answer = await api("POST", FOLD, fold(**{name: bomb()}))
        assert (status, list(answer)) == (400, [name])
    assert await stored(master) == before


async def test_what_is_not_there(api: Api, master: Master) -> None:
    await api("GET", RAW)
    before = await stored(master)
    nothing = (404, {"detail": "Not found."})
    for number in ("1", "99999999999", "9999999999999999"):
        for path in (f"rawdata/{number}/", f"submission/{number}/", f"submissionfold/{number}/"):
            assert await api("GET", f"runapp/{path}") == nothing
            assert await api("DELETE", f"runapp/{path}") == nothing
        for path in ("cancel", "rerun"):
            assert await api("POST", f"runapp/submissionfold/{number}/{path}/", {}) == nothing
            assert await api("POST", f"runapp/submission/{number}/{path}/", {}) == nothing
        assert await api("GET", f"runapp/rawdata/{number}/preview/") == nothing
        body = {"raw_data_id": int(number[:15]), "held_out_test": 0.5}
        assert await api("POST", SPLIT, body) == nothing
        assert await api("POST", "runapp/rawdata/customsplit/", body) == nothing
        assert await api("POST", FOLD, fold(raw_data=int(number[:15]))) == nothing
    assert await api("GET", "runapp/task/abc/") == nothing
    assert await api("GET", "runapp/upload/abc/") == nothing
    response = await api.fetch("PUT", "runapp/upload/abc/", b"x", params={"offset": 0})
    assert response.code == 404
    assert await stored(master) == before


async def test_query_arguments(api: Api) -> None:
    for path, params in (
        (FOLD, {"limit": 0}),
        (FOLD, {"limit": "x"}),
        (FOLD, {"limit": 10**9}),
        (FOLD, {"cursor": HUGE}),
        (FOLD, {"cursor": -1}),
        (FOLD, {"raw_data": HUGE}),
        (FOLD, {"submission": HUGE}),
        (FOLD, {"state": "DONE"}),
        (FOLD, {"view": "x"}),
        (FOLD, {"order": "name"}),
        (RAW, {"cursor": HUGE}),
        (SUBMISSION, {"cursor": HUGE}),
    ):
        status, answer = await api("GET", path, params=params)
        assert (status, list(answer)) == (400, list(params)), params
    await created(api, RAW, dataset())
    await created(api, FOLD, fold())
    for path, params in (
        ("runapp/submissionfold/11/log/", {"since": "x"}),
        ("runapp/rawdata/1/preview/", {"rows": "x"}),
    ):
        status, answer = await api("GET", path, params=params)
        assert (status, list(answer)) == (400, list(params)), params
    assert (await api("GET", "runapp/submissionfold/11/log/", params={"since": HUGE}))[0] == 200
    assert (await api("GET", "runapp/rawdata/1/preview/", params={"rows": HUGE}))[0] == 200


async def test_wrong_verbs(api: Api) -> None:
    for method, path in (
        ("DELETE", RAW),
        ("PUT", RAW),
        ("PATCH", FOLD),
        ("GET", SPLIT),
        ("POST", "runapp/submissionfold-light/"),
        ("GET", "runapp/testpredictions/new/"),
        ("POST", "runapp/runner/"),
        ("GET", "runapp/upload/"),
    ):
        answer = await api(method, path)
        assert answer == (405, {"detail": f'Method "{method}" not allowed.'}), path


async def test_refused_folds_leave_nothing_behind(api: Api, master: Master) -> None:
    """What is only found wrong in the transaction, after the files are on disk."""
    await created(api, RAW, dataset())
    await created(api, FOLD, fold(11))

    def split_done(session: Any) -> None:
        from datarun_ext.models import RawData, SplitState

        session.get(RawData, 1).split_state = SplitState.DONE
        session.get(RawData, 1).n_train = 10

    await master.db.write(split_done)
    before = await stored(master)
    out_of_range = fold(12, 2, test_is=indices(10))
    status, answer = await api("POST", FOLD, out_of_range)
    assert (status, list(answer)) == (400, ["train_is"])
    status, answer = await api("POST", FOLD, fold(11, 2))
    assert (status, list(answer)) == (400, ["databoard_sf_id"])
    out_of_range = fold(11, 1, test_is=indices(10), force="submission, submission_fold")
    assert (await api("POST", FOLD, out_of_range))[0] == 400
    body = {"raw_data": 1, "files": {"c.py": X}, "cv": {"n_splits": 11}}
    assert (await api("POST", SUBMISSION, body))[0] == 400
    assert await stored(master) == before
    assert (await api("GET", "runapp/submission/1/"))[1]["n_folds"] == 1
