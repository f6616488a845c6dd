"""The workflow gives bit for bit what datarun 0.4 gave: pandas and scikit-learn run by hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from celery_app.execution import Order, Verdict
from celery_app.layout import (
    CODE,
    FULL_TRAIN,
    MADE,
    PREPARED,
    PROGRAM_FOLD,
    PROGRAM_PREPARE,
    RAW,
    SUBMISSION_PACKAGE,
    TEST,
)
from datarun_ext.protocol import Phase, Reason

from .data import (
    CALIBRATOR,
    CLASSIFIER,
    ESTIMATOR,
    FEATURE_EXTRACTOR,
    REGRESSOR,
    flowers,
    pack_indices,
    write_package,
)
from .forked import Forked

TRAIN_IS = [0, 1, 2, 3, 5, 8, 9, 10, 13, 21, 22, 23, 24, 25, 26, 27, 28, 29, 34, 35, 36, 37, 38, 39]
FILES = {
    "feature_extractor": FEATURE_EXTRACTOR,
    "classifier": CLASSIFIER,
    "calibrator": CALIBRATOR,
    "regressor": REGRESSOR,
    "estimator": ESTIMATOR,
}


class Bench:
    """A split dataset, prepared, on which submissions run."""

    def __init__(self, folder: Path, table: pd.DataFrame, target: str) -> None:
        self.folder, self.target = folder, target
        (folder / "prepared").mkdir(parents=True)
        for name, part in (("train.csv", table[:40]), ("test.csv", table[40:])):
            part.to_csv(folder / name, index=False)
        verdict = Forked().run(
            Order(
                key="prepare",
                program=PROGRAM_PREPARE,
                arguments={"target_column": target},
                readonly={f"{RAW}/{n}": str(folder / n) for n in ("train.csv", "test.csv")},
                writable={MADE: str(folder / "prepared")},
            )
        )
        assert verdict.reason is None, verdict

    def run(self, files: dict[str, str], *elements: str) -> Verdict:
        code = write_package(self.folder / "code" / SUBMISSION_PACKAGE, files)
        return Forked().run(
            Order(
                key="fold",
                program=PROGRAM_FOLD,
                arguments={
                    "target_column": self.target,
                    "workflow_elements": list(elements),
                    "train_is": pack_indices(TRAIN_IS),
                    "n_train": 40,
                    "n_test": 20,
                },
                readonly={PREPARED: str(self.folder / "prepared"), CODE: code},
            )
        )

    def predictions(self, *elements: str) -> tuple[np.ndarray, np.ndarray]:
        files = {f"{name}.py": FILES[name] for name in elements}
        verdict = self.run(files, *elements)
        assert verdict.reason is None, verdict
        full, test = (verdict.output(name) for name in (FULL_TRAIN, TEST))
        assert full is not None
        assert test is not None
        return tuple(  # type: ignore[return-value]
            np.frombuffer(output.data).reshape(output.meta["shape"]) for output in (full, test)
        )

    def read(self, name: str) -> tuple[pd.DataFrame, pd.Series]:
        data = pd.read_csv(self.folder / name)
        return data.drop([self.target], axis=1), data[self.target]

    def module(self, element: str) -> ModuleType:
        path = self.folder / f"own_{element}.py"
        path.write_text(FILES[element])
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def same(ours: tuple[np.ndarray, np.ndarray], predict: Callable[[Any], Any], bench: Bench) -> None:
    for predicted, name in zip(ours, ("train.csv", "test.csv"), strict=True):
        X, _ = bench.read(name)
        by_hand = np.ascontiguousarray(predict(X.iloc[range(len(X))]), dtype=float)
        assert predicted.shape == by_hand.shape
        assert predicted.tobytes() == by_hand.tobytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, flowers(), "kind")


@pytest.fixture
def numeric_bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, flowers().drop(columns="colour"), "kind")


def test_classifier(numeric_bench: Bench) -> None:
    X, y = numeric_bench.read("train.csv")
    classifier = numeric_bench.module("classifier").Classifier()
    classifier.fit(np.array(X.iloc[TRAIN_IS]), np.array(y.iloc[TRAIN_IS]))
    ours = numeric_bench.predictions("classifier")
    same(ours, lambda X: classifier.predict_proba(np.array(X)), numeric_bench)


def test_classifier_and_calibrator(numeric_bench: Bench) -> None:
    X, y = numeric_bench.read("train.csv")
    X, y = np.array(X.iloc[TRAIN_IS]), np.array(y.iloc[TRAIN_IS])
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57)
    fit, calibrate = next(splitter.split(X, y))
    classifier = numeric_bench.module("classifier").Classifier()
    classifier.fit(X[fit], y[fit])
    calibrator = numeric_bench.module("calibrator").Calibrator()
    calibrator.fit(classifier.predict_proba(X[calibrate]), y[calibrate])
    ours = numeric_bench.predictions("classifier", "calibrator")
    same(
        ours,
        lambda X: calibrator.predict_proba(classifier.predict_proba(np.array(X))),
        numeric_bench,
    )


def test_feature_extractor_classifier_calibrator(bench: Bench) -> None:
    X, y = bench.read("train.csv")
    X, y = X.iloc[TRAIN_IS], y.iloc[TRAIN_IS]
    extractor = bench.module("feature_extractor").FeatureExtractor()
    extractor.fit(X, y)
    features = extractor.transform(X)
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57)
    fit, calibrate = next(splitter.split(features, y))
    classifier = bench.module("classifier").Classifier()
    classifier.fit(features[fit], y.iloc[fit])
    calibrator = bench.module("calibrator").Calibrator()
    calibrator.fit(classifier.predict_proba(features[calibrate]), y.iloc[calibrate])
    ours = bench.predictions("feature_extractor", "classifier", "calibrator")
    same(
        ours,
        lambda X: calibrator.predict_proba(classifier.predict_proba(extractor.transform(X))),
        bench,
    )


@pytest.mark.parametrize("extract", [False, True])
def test_regressor_on_numbers_with_an_unnamed_column(tmp_path: Path, *, extract: bool) -> None:
    table = flowers().drop(columns=["kind", "colour"])
    table.insert(0, "Unnamed: 0", range(1, 61))
    bench = Bench(tmp_path, table, "width")
    X, y = bench.read("train.csv")
    X, y = X.iloc[TRAIN_IS], y.iloc[TRAIN_IS]
    regressor = bench.module("regressor").Regressor()
    if not extract:
        regressor.fit(np.array(X), np.array(y))
        same(bench.predictions("regressor"), lambda X: regressor.predict(np.array(X)), bench)
        return
    extractor = bench.module("feature_extractor").FeatureExtractor()
    extractor.fit(X, y)
    regressor.fit(extractor.transform(X), y)
    ours = bench.predictions("feature_extractor", "regressor")
    same(ours, lambda X: regressor.predict(extractor.transform(X)), bench)


def test_estimator_sees_the_columns(bench: Bench) -> None:
    X, y = bench.read("train.csv")
    estimator = bench.module("estimator").get_estimator()
    estimator.fit(X.iloc[TRAIN_IS], np.array(y.iloc[TRAIN_IS]))
    same(bench.predictions("estimator"), estimator.predict_proba, bench)


def test_phases_are_done_in_order(numeric_bench: Bench) -> None:
    verdict = numeric_bench.run({"classifier.py": CLASSIFIER}, "classifier")
    assert list(verdict.measures) == list(Phase)


BAD = {
    "missing file": ({}, Reason.USER_ERROR, None, "The file classifier.py is missing"),
    "missing class": ("", Reason.USER_ERROR, Phase.TRAIN, "does not define Classifier"),
    "short": (
        "p[:3]",
        Reason.BAD_OUTPUT,
        Phase.VALIDATION,
        "Wrong full train prediction size: \n3 instead of 40 ",
    ),
    "short test": (
        "p[:3] if len(X) == 20 else p",
        Reason.BAD_OUTPUT,
        Phase.TEST,
        "Wrong test prediction size: \n3 instead of 20 ",
    ),
    "none": ("None", Reason.BAD_OUTPUT, Phase.VALIDATION, "None was returned"),
    "number": ("1.5", Reason.BAD_OUTPUT, Phase.VALIDATION, "are one float"),
    "generator": ("iter(p)", Reason.BAD_OUTPUT, Phase.VALIDATION, "not an array with 40 rows"),
    "flat": ("p[:, 0]", Reason.BAD_OUTPUT, Phase.VALIDATION, "shape (40,): predict_proba must"),
    "nan": ("p * float('nan')", Reason.BAD_OUTPUT, Phase.VALIDATION, "120 values of 120"),
    "infinite": ("p + 1e308 * 10", Reason.BAD_OUTPUT, Phase.VALIDATION, "not finite"),
    "text": ("p.astype(str)", Reason.BAD_OUTPUT, Phase.VALIDATION, "they must be numbers"),
    "complex": ("p * 1j", Reason.BAD_OUTPUT, Phase.VALIDATION, "dtype complex128"),
    "objects": ("[[{}]] * len(X)", Reason.BAD_OUTPUT, Phase.VALIDATION, "dtype object"),
    "raises": ("1 / 0", Reason.USER_ERROR, Phase.VALIDATION, "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_submissions_are_told_what_is_wrong(numeric_bench: Bench, name: str) -> None:
    returned, reason, phase, detail = BAD[name]
    if isinstance(returned, dict):
        files = {"other.py": ""}
    elif not returned:
        files = {"classifier.py": "x = 1"}
    else:
        text = CLASSIFIER.replace("return self.model.predict_proba(X)", "p = self.model")
        assert text != CLASSIFIER
        text = text.replace("p = self.model", f"p = self.model.predict_proba(X); return {returned}")
        files = {"classifier.py": text}
    verdict = numeric_bench.run(files, "classifier")
    assert verdict.reason is reason, verdict
    assert detail in verdict.detail
    assert verdict.phase is phase or phase is None


@pytest.mark.parametrize(
    ("returned", "dtype"),
    [
        ("p.astype('f4')", "float32"),
        ("(p > 0.5)", "bool"),
        ("p.tolist()", "float64"),
        ("p.astype(object)", "object"),
        ("__import__('pandas').DataFrame(p)", "float64"),
        ("__import__('scipy.sparse').sparse.csr_matrix(p)", "float64"),
        ("np.asfortranarray(p)", "float64"),
    ],
)
def test_other_numbers_become_float64(numeric_bench: Bench, returned: str, dtype: str) -> None:
    text = "import numpy as np\n" + CLASSIFIER.replace(
        "return self.model.predict_proba(X)",
        f"p = self.model.predict_proba(X); return {returned}",
    )
    plain = numeric_bench.predictions("classifier")[0]
    verdict = numeric_bench.run({"classifier.py": text}, "classifier")
    assert verdict.reason is None, verdict
    output = verdict.output(FULL_TRAIN)
    assert output is not None
    assert output.meta == {"shape": [40, 3], "dtype": dtype}
    values = np.frombuffer(output.data).reshape(40, 3)
    assert np.allclose(values, plain > 0.5 if dtype == "bool" else plain, atol=1e-6)


def test_modules_are_a_real_package(numeric_bench: Bench) -> None:
    text = """
    import pickle, sys
    from joblib import Parallel, delayed
    from .helper import double
    import helper_by_bare_name

    class Classifier:
        def fit(self, X, y):
            assert __file__.endswith("classifier.py")
            assert sys.modules[__name__].Classifier is Classifier
            self.k = len(set(y))
            assert type(pickle.loads(pickle.dumps(self))) is Classifier

        def work(self, n):
            return double(n)

        def predict_proba(self, X):
            import numpy as np
            ones = Parallel(n_jobs=2, backend="loky")(delayed(self.work)(n) for n in (1, 2))
            assert ones == [2, 4]
            return np.full((len(X), self.k), 1 / self.k)
    """
    files = {
        "classifier.py": text,
        "helper.py": "def double(n):\n    return 2 * n\n",
        "helper_by_bare_name.py": "",
    }
    verdict = numeric_bench.run(files, "classifier")
    assert verdict.reason is None, verdict


@pytest.mark.parametrize(
    ("elements", "detail"),
    [
        (("magic", "classifier"), 'element "magic" of the dataset is unknown'),
        (("feature_extractor",), "predicts nothing"),
    ],
)
def test_a_workflow_that_cannot_be(
    numeric_bench: Bench, elements: tuple[str, ...], detail: str
) -> None:
    verdict = numeric_bench.run({"classifier.py": CLASSIFIER}, *elements)
    assert verdict.reason is Reason.DATA_ERROR
    assert detail in verdict.detail
