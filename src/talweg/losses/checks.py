"""Host checks of target values, made once before training: XLA has no errors at run time.

Each reads the array in one or two passes of NumPy and names the first bad row.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.ops.targets import Shape

# What float32 arithmetic on the way to the loss may add to a probability.
_ROUNDING = 1e-6


def require_finite(y: np.ndarray, owner: str) -> None:
    """Refuse targets that are not numbers, NaN or infinite.

    Raises:
        TypeError: strings, objects or complex numbers.
        NonFiniteError: the first row with NaN or infinity is named.
    """
    if not jnp.issubdtype(y.dtype, jnp.floating):
        if y.dtype.kind not in "biu":
            raise errors.wrong_type(owner, "y", "an array of real numbers", y.dtype)
        return
    with np.errstate(all="ignore"):
        # A sum is finite only if all terms are; it costs a quarter of isfinite on each.
        if np.isfinite(np.sum(y)):
            return
    bad = ~np.isfinite(y)
    if bad.any():
        row, value = _first(bad, y)
        kind = "NaN" if np.isnan(value) else "infinity"
        raise errors.NonFiniteError(
            f"{owner}: y holds {kind} at row {row}. Drop or fill the {_rows(bad)} rows with "
            "missing or infinite targets before training."
        )


def require_range(
    y: np.ndarray,
    owner: str,
    expected: str,
    low: float = -np.inf,
    high: float = np.inf,
    open_low: bool = False,
    remedy: str = "",
) -> None:
    """Refuse targets outside [low, high], or (low, high] with `open_low`.

    Raises:
        ValueError: the first row outside, and its value.
    """
    if not y.size:
        return
    least = y.min()
    if (least > low or (least == low and not open_low)) and y.max() <= high:
        return
    bad = (y < low) | (y > high)
    if open_low:
        bad |= y == low
    row, value = _first(bad, y)
    raise errors.invalid(owner, f"y at row {row}", expected, value, remedy)


def require_unit_interval(y: np.ndarray, owner: str, remedy: str) -> None:
    """Refuse targets outside [0, 1].

    Raises:
        ValueError: the first row outside, and its value.
    """
    require_range(y, owner, "in [0, 1]", -_ROUNDING, 1 + _ROUNDING, remedy=remedy)


def require_whole(y: np.ndarray, owner: str) -> None:
    """Refuse floating labels with a fraction.

    Raises:
        ValueError: the first row with a fraction, and its value.
    """
    if not jnp.issubdtype(y.dtype, jnp.floating):
        return
    bad = np.floor(y) != y
    if bad.any():
        row, value = _first(bad, y)
        raise errors.invalid(
            owner,
            f"y at row {row}",
            "an integer label",
            value,
            "For targets that are numbers, not classes, use mean_squared_error.",
        )


def require_labels(
    y: np.ndarray, owner: str, classes: int | None, ignore_class: int | None = None
) -> None:
    """Refuse labels that are not integers in 0 … classes − 1.

    Args:
        classes: the units of the model's output; None where that is unknown.
        ignore_class: a label that is accepted as well.

    Raises:
        ValueError: the first bad row, its label, and the units that would be needed.
    """
    require_whole(y, owner)
    if not y.size:
        return
    highest = np.inf if classes is None else classes - 1
    least, most = y.min(), y.max()
    if least >= 0 and most <= highest:
        return
    bad = (y < 0) | (y > highest)
    if ignore_class is not None:
        bad &= y != ignore_class
    if not bad.any():
        return
    row, label = _first(bad, y)
    units = "" if classes is None else f" of the model's {classes} units"
    most = int(most if ignore_class is None else y[y != ignore_class].max())
    if label < 0:
        remedy = f"Number the classes from 0, or pass ignore_class={int(label)} to skip such rows."
    elif classes == 1:
        remedy = f"Give the last layer {most + 1} units, or use binary_crossentropy with 1 unit."
    else:
        remedy = f"Labels count from 0: give the last layer {most + 1} units, or shift the labels."
    raise errors.invalid(
        owner, f"y at row {row}", f"a label in 0 … {highest}{units}", int(label), remedy
    )


def require_alignments(y: np.ndarray, owner: str, steps: int | None) -> None:
    """Refuse CTC labels that no alignment can spell.

    Args:
        y: (rows, length) labels, padded with 0 at the end.
        steps: time steps of the predictions; None where that is unknown.

    Raises:
        ValueError: the first row with a 0 before a label, or too long for `steps`.
    """
    used = y != 0
    gaps = used[:, 1:] & ~used[:, :-1]
    if gaps.any():
        row = int(np.argmax(gaps.any(axis=1)))
        raise errors.invalid(
            owner,
            f"y at row {row}",
            "labels from 1 on, then padding with 0",
            y[row].tolist(),
            "0 is the blank: it may only pad the end of a row.",
        )
    if steps is None:
        return
    needed = used.sum(axis=1) + (used[:, 1:] & (y[:, 1:] == y[:, :-1])).sum(axis=1)
    if (needed > steps).any():
        row = int(np.argmax(needed > steps))
        raise errors.invalid(
            owner,
            f"y at row {row}",
            f"spelled in the model's {steps} time steps",
            f"{needed[row]} steps needed",
            "Each label needs a step, each repetition a blank between.",
        )


def with_batch(output_shape: Shape, y: np.ndarray) -> Shape:
    """The output's shape with the rows of y as its batch."""
    return (y.shape[0] if y.ndim else None, *tuple(output_shape)[1:])


def _first(bad: np.ndarray, y: np.ndarray) -> tuple[int, Any]:
    """The row of the first bad entry, and the entry."""
    place = int(np.argmax(bad.reshape(-1)))
    value = y.reshape(-1)[place].item()
    return place // max(int(np.prod(y.shape[1:])), 1), value


def _rows(bad: np.ndarray) -> int:
    return int(bad.reshape(bad.shape[0] if bad.ndim else 1, -1).any(axis=1).sum())
