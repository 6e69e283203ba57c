"""The column to predict: which task it poses, its class codes or its numbers."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from talweg.core import errors

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression"]

MAX_CLASSES = 1_000
# Whole numbers are taken for classes up to this many different ones, if they are also
# fewer than this share of the rows.
FEW_INTEGERS = 20
FEW_SHARE = 0.05


def guess(labels: "pd.Series") -> Task:
    """Classification for text, booleans and few whole numbers, else regression."""
    if labels.dtype != np.float64:
        return "classification"
    values = labels.to_numpy()
    kinds = len(np.unique(values))
    whole = bool(np.all(values == np.round(values)))
    few = kinds == 2 or (kinds <= FEW_INTEGERS and kinds < FEW_SHARE * len(values))
    return "classification" if whole and few else "regression"


def codes(labels: "pd.Series") -> tuple[np.ndarray, tuple[Any, ...]]:
    """The code of each row and the label of each code, labels in their natural order."""
    values = labels.to_numpy(dtype=object)
    kinds, found, counts = np.unique(values, return_inverse=True, return_counts=True)
    if counts.max() == 1:
        raise ValueError(
            f"Table: the target {labels.name!r} has one row per class: {len(kinds):,} labels in "
            f"{len(values):,} rows. Nothing can be learned about a class from one row; "
            "is it a name or a number of the row?"
        )
    if len(kinds) > MAX_CLASSES:
        raise ValueError(
            f"Table: the target {labels.name!r} must have at most {MAX_CLASSES:,} classes, "
            f"got {len(kinds):,}. Numbers are predicted with task='regression'."
        )
    if counts.min() == 1:
        lonely = kinds[counts == 1]
        shown = ", ".join(errors.shown(label(kind), 30) for kind in lonely[:5])
        raise ValueError(
            f"Table: every class of the target {labels.name!r} must have at least two rows, "
            f"got a single one of {shown}{', …' if len(lonely) > 5 else ''}. It cannot be in "
            "both a training and a validation part: remove the row or merge the class."
        )
    return found.reshape(-1).astype(np.int32), tuple(label(kind) for kind in kinds)


def label(kind: Any) -> Any:
    """A value as Python's own; whole numbers without the point that missing ones gave them."""
    kind = kind.item() if isinstance(kind, np.generic) else kind
    return int(kind) if isinstance(kind, float) and kind.is_integer() else kind


def numbers(labels: "pd.Series") -> np.ndarray:
    """The float32 numbers of a regression's target."""
    if labels.dtype != np.float64:
        raise errors.invalid(
            "Table",
            "task",
            f"'classification' for the target {labels.name!r}, which holds no numbers "
            f"(for example {errors.shown(labels.iloc[0], 30)})",
            "regression",
        )
    with np.errstate(over="ignore"):
        values = labels.to_numpy().astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise ValueError(
            f"Table: the target {labels.name!r} must be finite in float32, "
            f"got {labels.iloc[wrong[0]]} in row {labels.index[wrong[0]] + 1}."
        )
    if np.all(values == values[0]):
        raise ValueError(
            f"Table: the target {labels.name!r} must vary in float32, got {values[0]} everywhere. "
            "Subtract its mean first."
        )
    return values
