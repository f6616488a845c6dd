"""Request bodies, checked; whatever is wrong is said in the words of datarun 0.4."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

ID_MAX = 2**53 - 1
"""Beyond it a JSON reader in a browser loses digits."""
FORCES = ("submission", "submission_fold")


def _priority(value: Any) -> Any:
    known = {"l": "L", "low": "L", "h": "H", "high": "H"}
    if value is None or value == "":
        return "L"
    found = known.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        msg = f'"{value}" is not a valid choice.'
        raise ValueError(msg)
    return found


def _force(value: Any) -> Any:
    if value is None:
        return ()
    if not isinstance(value, str):
        msg = "Not a valid string."
        raise ValueError(msg)
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    for word in words:
        if word not in FORCES:
            msg = f'"{word}" is not a valid choice: send "submission", "submission_fold" or both.'
            raise ValueError(msg)
    return words


def _no_nul(value: str) -> str:
    if "\0" in value:
        msg = "Null characters are not allowed."
        raise ValueError(msg)
    return value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "A valid number is required."
        raise ValueError(msg)
    return value


def _held_out(value: float | int) -> float | int:
    if isinstance(value, int) and value >= 1:
        return value
    if 0 < value < 1:
        return float(value)
    msg = "Send a fraction between 0 and 1, or a whole number of rows."
    raise ValueError(msg)


Id = Annotated[int, Field(ge=0, le=ID_MAX), BeforeValidator(_no_bool)]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_no_nul),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Files = dict[str, str]
PriorityText = Annotated[Literal["L", "H"], BeforeValidator(_priority)]


class Body(BaseModel):
    """Base of the bodies. As in datarun 0.4, what is not known is ignored and "7" is a 7."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)


class RawDataBody(Body):
    """A dataset to create."""

    name: Name
    target_column: Text
    workflow_elements: Text
    files: Files | None = None
    uploads: dict[str, str] = {}
    server_files: dict[str, str] = {}
    limits: dict[str, Any] = {}


class SplitBody(Body):
    """A split to make."""

    raw_data_id: Id
    held_out_test: Annotated[
        int | float, Field(union_mode="left_to_right"), AfterValidator(_held_out),
        BeforeValidator(_no_bool),
    ]  # fmt: skip
    random_state: Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_no_bool)] = 42


class CustomSplitBody(Body):
    """A split by the dataset's own `prepare_data`."""

    raw_data_id: Id


class FoldBody(Body):
    """A fold to train, and its submission when that is new."""

    databoard_sf_id: Id | None = None
    databoard_s_id: Id | None = None
    raw_data: Id | None = None
    files: Files | None = None
    train_is: str
    test_is: str
    priority: PriorityText = "L"
    force: Annotated[tuple[str, ...], BeforeValidator(_force)] = ()
    limits: dict[str, Any] = {}


class IndicesBody(Body):
    """The indices of one fold among several."""

    train_is: str
    test_is: str


class SubmissionBody(Body):
    """A submission with all its folds."""

    databoard_s_id: Id | None = None
    raw_data: Id
    files: Files
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_no_nul)
    ] = ""
    priority: PriorityText = "L"
    limits: dict[str, Any] = {}
    cv: dict[str, Any] | None = None
    folds: list[IndicesBody] | None = None


class FoldListBody(Body):
    """Folds whose predictions are wanted."""

    list_submission_fold: list[Id]


class NewPredictionsBody(Body):
    """A dataset whose new predictions are wanted; none: all datasets."""

    raw_data_id: Id | None = None


class RerunBody(Body):
    """Which folds of a submission to run again."""

    only: Literal["failed", "all"] = "failed"


class PriorityBody(Body):
    """The queue to move to."""

    priority: PriorityText


class UploadBody(Body):
    """A big file to send in pieces."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    size: Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_no_bool)]
    sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-fA-F]{64})?$")] = ""


class UserBody(Body):
    """A user to add."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=150)]
    password: str
    email: Annotated[str, StringConstraints(max_length=254)] = ""
    is_superuser: bool = False
