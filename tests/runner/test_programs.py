from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from celery_app import layout
from celery_app.execution import Order, Verdict
from celery_app.layout import (
    CODE,
    DATA_PACKAGE,
    FULL_TRAIN,
    LABELS_TEST,
    LABELS_TRAIN,
    MADE,
    PREPARED,
    PROGRAM_CUSTOM_FOLD,
    PROGRAM_CUSTOM_SPLIT,
    PROGRAM_PREPARE,
    PROGRAM_PREPARE_CUSTOM,
    PROGRAM_SPLIT,
    RAW,
    SUBMISSION_PACKAGE,
    SUMMARY,
    TEST,
)
from celery_app.programs.labels import LabelSet, describe
from datarun_ext.protocol import Reason

from .data import CLASSIFIER, SPECIFIC, flowers, pack_indices, write_package
from .forked import Forked


def data_of(verdict: Verdict, name: str) -> bytes:
    assert verdict.reason is None, verdict
    output = verdict.output(name)
    assert output is not None
    return output.data


def split(folder: Path, text: str, *, target: str = "kind", **arguments: Any) -> Verdict:
    (folder / "raw.csv").write_text(text)
    (folder / "made").mkdir(exist_ok=True)
    defaults = {"held_out_test": 0.25, "random_state": 42, "workflow_elements": ["classifier"]}
    return Forked().run(
        Order(
            key="split",
            program=PROGRAM_SPLIT,
            arguments={"file": "raw.csv", "target_column": target, **defaults, **arguments},
            readonly={f"{RAW}/raw.csv": str(folder / "raw.csv")},
            writable={MADE: str(folder / "made")},
        )
    )


@pytest.mark.parametrize("held_out", [0.25, 7])
def test_split_writes_what_scikit_learn_splits(tmp_path: Path, held_out: float) -> None:
    text = flowers().to_csv(index=False)
    verdict = split(tmp_path, text, held_out_test=held_out, random_state=3)
    table = pd.read_csv(tmp_path / "raw.csv")
    train, test = train_test_split(table, test_size=held_out, random_state=3)
    assert (tmp_path / "made/train.csv").read_text() == train.to_csv(index=False)
    assert (tmp_path / "made/test.csv").read_text() == test.to_csv(index=False)
    summary = json.loads(data_of(verdict, SUMMARY))
    assert summary == {
        "n_train": len(train),
        "n_test": len(test),
        "columns": ["length", "petals", "width", "colour", "kind"],
        "kind": "classes",
        "classes": ["ant", "bee", "cat"],
    }
    for name, part in ((LABELS_TRAIN, train), (LABELS_TEST, test)):
        codes = np.frombuffer(data_of(verdict, name), dtype="<i8")
        assert [summary["classes"][code] for code in codes] == part["kind"].tolist()


@pytest.mark.parametrize(
    ("text", "arguments", "detail"),
    [
        ("a,kind\n1,x\n", {}, "has 1 rows, which cannot be split with held_out_test=0.25"),
        ("a,kind\n1,x\n2,y\n", {"held_out_test": 5}, "has 2 rows, which cannot be split"),
        ("a,b\n1,x\n", {}, 'no column "kind"'),
        ("a,kind\n1,x,3\n", {}, "Row 2 of raw.csv has 3 fields"),
    ],
)
def test_split_says_what_is_wrong(
    tmp_path: Path, text: str, arguments: dict[str, Any], detail: str
) -> None:
    verdict = split(tmp_path, text, **arguments)
    assert verdict.reason is Reason.DATA_ERROR
    assert detail in verdict.detail


def test_prepare_keeps_the_test_labels_out(tmp_path: Path) -> None:
    table = flowers()
    table["kind"] = [f"secret-{row}" for row in range(60)]
    table[:40].to_csv(tmp_path / "train.csv", index=False)
    table[40:].to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "made").mkdir()
    verdict = Forked().run(
        Order(
            key="prepare",
            program=PROGRAM_PREPARE,
            arguments={"target_column": "kind"},
            readonly={f"{RAW}/{n}": str(tmp_path / n) for n in ("train.csv", "test.csv")},
            writable={MADE: str(tmp_path / "made")},
        )
    )
    assert verdict.reason is None, verdict
    kept = b"".join(path.read_bytes() for path in (tmp_path / "made").iterdir())
    assert b"secret-39" in kept
    assert b"secret-40" not in kept


def numbers(values: Any) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def codes(values: Any) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()


@pytest.mark.parametrize(
    ("train", "test", "elements", "expected"),
    [
        (["b", "a"], ["a"], ["classifier"], ("classes", ("a", "b"), codes([1, 0]), codes([0]))),
        ([10, 9], [9], ["classifier"], ("classes", ("9", "10"), codes([1, 0]), codes([0]))),
        (["b", "a"], ["z"], ["classifier"], ("classes", ("a", "b"), codes([1, 0]), codes([-1]))),
        ([1.5, 2], [3], ["regressor"], ("numbers", (), numbers([1.5, 2]), numbers([3]))),
        ([1, 2], [3], ["regressor"], ("numbers", (), numbers([1, 2]), numbers([3]))),
        ([1.5, 2], [3], ["estimator"], ("numbers", (), numbers([1.5, 2]), numbers([3]))),
        ([1, 0], [1], ["estimator"], ("classes", ("0", "1"), codes([1, 0]), codes([1]))),
        (
            [True, False],
            [True],
            ["classifier"],
            ("classes", ("False", "True"), codes([1, 0]), codes([1])),
        ),
        (["a", None], ["a"], ["classifier"], ("none", (), b"", b"")),
        ([1.0, float("inf")], [1.0], ["regressor"], ("none", (), b"", b"")),
        ([[1, 2], [3, 4]], [[1, 2]], ["regressor"], ("none", (), b"", b"")),
        ([[1, 2], [3]], [[1]], ["regressor"], ("none", (), b"", b"")),
        (["a", 1], ["a"], ["classifier"], ("none", (), b"", b"")),
        (["x", "y"], ["x"], ["regressor"], ("classes", ("x", "y"), codes([0, 1]), codes([0]))),
    ],
)
def test_labels(train: Any, test: Any, elements: list[str], expected: tuple[Any, ...]) -> None:
    as_object = np.array(train, dtype=object) if None in train or 1 in train[1:] else train
    assert describe(as_object, test, elements) == LabelSet(*expected)


def test_too_many_classes_are_no_classes() -> None:
    assert describe([str(n) for n in range(1001)], ["1"], ["classifier"]).kind == "none"


class Custom:
    """A custom dataset on disk, and the programs that work on it."""

    def __init__(self, folder: Path, specific: str = SPECIFIC) -> None:
        self.folder = folder
        self.raw = folder / "raw" / DATA_PACKAGE
        write_package(self.raw, {"specific.py": specific})
        flowers().to_csv(self.raw / "all.csv", index=False)
        self.prepared = folder / "prepared"
        self.prepared.mkdir()

    def split(self) -> Verdict:
        return Forked().run(
            Order(
                key="split",
                program=PROGRAM_CUSTOM_SPLIT,
                arguments={"workflow_elements": ["classifier"]},
                writable={RAW: str(self.raw)},
            )
        )

    def prepare(self) -> Verdict:
        return Forked().run(
            Order(
                key="prepare",
                program=PROGRAM_PREPARE_CUSTOM,
                arguments={},
                readonly={RAW: str(self.raw)},
                writable={MADE: str(self.prepared)},
            )
        )

    def fold(self) -> Verdict:
        specific = self.folder / "specific" / DATA_PACKAGE
        write_package(specific, {"specific.py": (self.raw / "specific.py").read_text()})
        code = self.folder / "code" / SUBMISSION_PACKAGE
        write_package(code, {"classifier.py": CLASSIFIER})
        return Forked().run(
            Order(
                key="fold",
                program=PROGRAM_CUSTOM_FOLD,
                arguments={
                    "workflow_elements": ["classifier"],
                    "train_is": pack_indices(range(0, 30, 2)),
                    "n_train": 30,
                    "n_test": 30,
                },
                readonly={
                    PREPARED: str(self.prepared),
                    layout.SPECIFIC: str(specific),
                    CODE: str(code),
                },
            )
        )


def test_custom_dataset_from_split_to_fold(tmp_path: Path) -> None:
    custom = Custom(tmp_path)
    summary = json.loads(data_of(custom.split(), SUMMARY))
    assert summary["n_train"] == summary["n_test"] == 30
    assert summary["classes"] == ["ant", "bee", "cat"]
    assert custom.prepare().reason is None
    verdict = custom.fold()
    full = np.frombuffer(data_of(verdict, FULL_TRAIN)).reshape(30, 3)
    test = np.frombuffer(data_of(verdict, TEST)).reshape(30, 3)

    from sklearn.linear_model import LogisticRegression

    train, held_out = (pd.read_csv(custom.raw / name) for name in ("a.csv", "b.csv"))
    columns = ["length", "width"]
    rows = train.iloc[0:30:2]
    model = LogisticRegression(max_iter=50).fit(rows[columns].to_numpy(), rows["kind"])
    assert np.array_equal(full, model.predict_proba(train[columns].to_numpy()))
    assert np.array_equal(test, model.predict_proba(held_out[columns].to_numpy()))


def test_custom_preparation_keeps_the_test_labels_out(tmp_path: Path) -> None:
    custom = Custom(tmp_path)
    custom.split()
    table = pd.read_csv(custom.raw / "b.csv")
    table["kind"] = "secret-label"
    table.to_csv(custom.raw / "b.csv", index=False)
    assert custom.prepare().reason is None
    kept = b"".join(path.read_bytes() for path in custom.prepared.iterdir())
    assert b"secret-label" not in kept


def test_custom_dataset_without_training_functions_uses_the_workflow(tmp_path: Path) -> None:
    start = SPECIFIC.index("def _rows")
    text = SPECIFIC[:start].replace(
        '[dict(row) for _, row in table[["length", "width"]].iterrows()]',
        'table[["length", "width"]].to_numpy().tolist()',
    )
    custom = Custom(tmp_path, text)
    custom.split()
    assert custom.prepare().reason is None
    assert np.frombuffer(data_of(custom.fold(), TEST)).shape == (90,)


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        (("def prepare_data", "def prepare"), Reason.DATA_ERROR, "does not define prepare_data"),
        (("def get_test_data", "def x"), Reason.DATA_ERROR, "does not define get_test_data"),
        (('return _read(raw_data_path, "b.csv")', "return 3"), Reason.DATA_ERROR, "must return"),
        (
            ('return _read(raw_data_path, "b.csv")', "return [1, 2], [1]"),
            Reason.DATA_ERROR,
            "get_test_data of specific.py returns 2 rows of X and 1 of y",
        ),
        (("table.iloc[::2]", "(1 / 0)"), Reason.USER_ERROR, "ZeroDivisionError"),
    ],
)
def test_custom_split_says_what_is_wrong(
    tmp_path: Path, change: tuple[str, str], reason: Reason, detail: str
) -> None:
    text = SPECIFIC.replace(*change)
    assert text != SPECIFIC
    verdict = Custom(tmp_path, text).split()
    assert verdict.reason is reason
    assert detail in verdict.detail


def test_data_that_cannot_be_kept_is_the_datasets_fault(tmp_path: Path) -> None:
    custom = Custom(tmp_path)
    custom.split()
    text = SPECIFIC.replace("[dict(row) for", "[(n for n in [1]) for")
    (custom.raw / "specific.py").write_text(text)
    verdict = custom.prepare()
    assert verdict.reason is Reason.DATA_ERROR
    assert "X_train as specific.py returns it cannot be kept" in verdict.detail
