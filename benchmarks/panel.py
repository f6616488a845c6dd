"""How the panel bears 50 000 folds: first paint, frames under 50 events a second, size.

It fills a database, starts JupyterLab on it without a runner, and measures in Chromium. It needs
the `lab` extra, the built panel, and `npm ci` in `labextension/`.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, insert

from datarun_ext.codecs import pack_indices
from datarun_ext.models import Priority, RawData, SplitState, Stage, Submission, SubmissionFold
from datarun_ext.services.database import Database
from datarun_ext.services.principal import LOCAL_USER

LABEXTENSION = Path(__file__).resolve().parents[1] / "labextension"
PER_SUBMISSION = 50
AT_WORK = 4
"""Submissions, the newest, whose folds still wait: these change while frames are measured."""
AT_ONCE = 1000


def fill(data_dir: Path, n_folds: int) -> None:
    """Write a dataset, its submissions and `n_folds` folds into a new database."""
    data_dir.mkdir(parents=True)
    url = f"sqlite:///{data_dir / 'datarun.sqlite3'}"
    database = Database(url)
    database.upgrade()
    database.close()
    now = time.time()
    n_submissions = n_folds // PER_SUBMISSION
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            insert(RawData),
            {
                "id": 1,
                "name": "iris",
                "workflow_elements": "classifier",
                "target_column": "species",
                "owner": LOCAL_USER,
                "split_state": SplitState.DONE,
                "n_train": 120,
                "n_test": 30,
                "created": now,
            },
        )
        submissions = [
            {
                "databoard_s_id": number,
                "name": f"model {number}",
                "raw_data_id": 1,
                "owner": LOCAL_USER,
                "cv": f"stratified, {PER_SUBMISSION} folds",
                "created": now - n_submissions + number,
            }
            for number in range(1, n_submissions + 1)
        ]
        connection.execute(insert(Submission), submissions)
        folds = [
            _fold(number, n_submissions, now) for number in range(n_submissions * PER_SUBMISSION)
        ]
        for start in range(0, len(folds), AT_ONCE):
            connection.execute(insert(SubmissionFold), folds[start : start + AT_ONCE])
    engine.dispose()


def _fold(number: int, n_submissions: int, now: float) -> dict[str, object]:
    submission = number // PER_SUBMISSION + 1
    waits = submission > n_submissions - AT_WORK
    failed = number % 97 == 0
    return {
        "databoard_sf_id": number + 1,
        "databoard_s_id": submission,
        "raw_data_id": 1,
        "owner": LOCAL_USER,
        "priority": Priority.LOW,
        "stage": Stage.QUEUED if waits else Stage.ERROR if failed else Stage.TESTED,
        "attempt": 1,
        "tries": 0 if waits else 1,
        "ended_at": None if waits else now,
        "reason": "USER_ERROR" if failed and not waits else None,
        "scores": {} if waits or failed else {"test_accuracy": 0.9 + number % 10 / 100},
        "created": now,
        "train_is": pack_indices([0, 1]),
        "test_is": pack_indices([2, 3]),
    }


def bundle() -> int:
    """Return the size of the panel's own JavaScript as it travels, in bytes."""
    scripts = (LABEXTENSION / "dist" / "static").glob("*.js")
    return sum(len(gzip.compress(script.read_bytes())) for script in scripts)


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=50_000)
    folds = parser.parse_args().folds
    print(f"bundle: {bundle() / 1000:.0f} kB gzipped")
    with tempfile.TemporaryDirectory(prefix="datarun-bench-") as name:
        began = time.monotonic()
        fill(Path(name) / "data", folds)
        print(f"{folds} folds written in {time.monotonic() - began:.1f} s", flush=True)
        subprocess.run(
            ["npx", "playwright", "test", "--config", "ui-tests/benchmark.config.ts"],
            cwd=LABEXTENSION,
            env={**os.environ, "DATARUN_DATA_DIR": f"{name}/data"},
            check=True,
        )


if __name__ == "__main__":
    main()
