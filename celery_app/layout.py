"""Where things lie inside a sandbox, and which program to run on them.

The trusted side (tasks) puts files there, the programs look for them there. A folder that holds
modules bears the name of the package as which its modules are imported, so that
``import_module(".classifier", "datarun_submission")`` works in the fold and in every process that
the fold starts. Python lists the folder around a package, so that one is shown too.
"""

from __future__ import annotations

SUBMISSION_PACKAGE = "datarun_submission"
DATA_PACKAGE = "datarun_data"

AROUND_CODE = "/job/code"
CODE = f"{AROUND_CODE}/{SUBMISSION_PACKAGE}"
"""The submission's files."""
AROUND_RAW = "/job/raw"
RAW = f"{AROUND_RAW}/{DATA_PACKAGE}"
"""The dataset's files as they were sent (and, for a custom dataset, split)."""
AROUND_SPECIFIC = "/job/specific"
SPECIFIC = f"{AROUND_SPECIFIC}/{DATA_PACKAGE}"
"""The organiser's modules of a custom dataset, without any data."""
PREPARED = "/job/prepared"
"""The dataset as a fold may see it: X and y of train, X of test."""
MADE = "/job/made"
"""What a set-up program makes."""

PROGRAM_FOLD = "fold:fold"
PROGRAM_CUSTOM_FOLD = "custom:custom_fold"
PROGRAM_SPLIT = "split:split"
PROGRAM_CUSTOM_SPLIT = "custom:custom_split"
PROGRAM_PREPARE = "prepare:prepare"
PROGRAM_PREPARE_CUSTOM = "custom:prepare_custom"

SPECIFIC_FILE = "specific.py"
TRAIN_FILE = "train.csv"
TEST_FILE = "test.csv"

FULL_TRAIN = "full_train"
TEST = "test"
SUMMARY = "summary"
LABELS_TRAIN = "labels_train"
LABELS_TEST = "labels_test"
"""Names of outputs."""
