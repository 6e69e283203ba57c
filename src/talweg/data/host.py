"""Host arrays from whatever came, or the error that says what is wrong with it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from talweg.core import config, errors
from talweg.core.variables import Variable

_INT32 = np.iinfo(np.int32)


def to_host(value: Any, what: str) -> Any:
    """`value` as NumPy or JAX arrays in the types that are computed with.

    float64 becomes `floatx()`, int64 becomes int32, pandas, torch and TensorFlow tensors
    become arrays; dicts, tuples and lists of arrays keep their structure.

    Args:
        value: arrays, tables, tensors, or lists of numbers.
        what: "x", "y" or "sample_weight", for messages.

    Raises:
        TypeError: strings, objects, dates, masked or complex arrays.
        ValueError: integers beyond 32 bits, ragged lists.
    """
    if value is None:
        return None
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):
        return _from_frame(value, what)
    if isinstance(value, Mapping):
        return {key: to_host(item, f"{what}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)) and _holds_arrays(value):
        return tuple(to_host(item, f"{what}[{i}]") for i, item in enumerate(value))
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, jax.Array):
        return value
    return _to_array(value, what)


def _holds_arrays(value: Any) -> bool:
    """Whether a list is a list of inputs, and not one array written as nested lists."""
    return len(value) > 0 and all(
        hasattr(item, "shape") and len(item.shape) > 0 or isinstance(item, Mapping)
        for item in value
    )


def _from_frame(frame: Any, what: str) -> np.ndarray:
    """A pandas table as one matrix; a column that is no number is named."""
    for name, kind in frame.dtypes.items():
        text = str(kind)
        if getattr(kind, "kind", "O") in "fiub" and not text[:1].isupper():
            continue
        if text == "category":
            fix = f"Use {what}[{name!r}].cat.codes, or pandas.get_dummies({what})."
        elif "datetime" in text:
            fix = "Turn dates into numbers first, for example days since the first."
        elif text[:1].isupper():
            fix = f"Use {what}[{name!r}].astype('float32') after filling what is missing."
        else:
            fix = f"Encode it, for example with pandas.get_dummies({what}), or drop it."
        raise errors.wrong_type(what, f"column {name!r}", "numeric", text, fix)
    return _to_array(frame.to_numpy(), what)


def _to_array(value: Any, what: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        raise errors.wrong_type(
            what, "the data", "a plain array", "a masked array",
            "Fill it: array.filled(0), and give the mask as sample_weight.",
        )  # fmt: skip
    kind = getattr(value, "dtype", None)
    if kind is not None and hasattr(value, "to_numpy") and str(kind) != str(kind).lower():
        raise errors.wrong_type(
            what, "the data", "numeric", str(kind), "Fill what is missing, then .astype('float32')."
        )
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise errors.invalid(
            what, "the data", "a rectangular array", value, f"NumPy says: {error}"
        ) from None
    if array.dtype.kind in "OUSV" or array.dtype.kind in "mM":
        fix = "Encode text as numbers first, for example one-hot or integer codes."
        if array.dtype.kind == "O":
            fix = "An object array holds mixed or ragged values. " + fix
        raise errors.wrong_type(what, "the data", "numeric", f"dtype {array.dtype}", fix)
    if array.dtype.kind == "c":
        raise errors.wrong_type(
            what, "the data", "real", f"dtype {array.dtype}", "Stack .real and .imag as features."
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "f" and array.dtype.itemsize == 8:
        array = array.astype(config.floatx())
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        array = _narrowed(array, what)
    return array


def _narrowed(array: np.ndarray, what: str) -> np.ndarray:
    if array.size and not (_INT32.min <= array.min() and array.max() <= _INT32.max):
        row = int(np.argwhere((array > _INT32.max) | (array < _INT32.min))[0][0])
        raise errors.invalid(
            what, f"row {row}", "within 32-bit integers", array[row],
            "Subtract an offset or hash the values first.",
        )  # fmt: skip
    return array.astype(np.int32)


def rows_of(tree: Any) -> int:
    """How many rows the first array of `tree` has."""
    return int(jax.tree.leaves(tree)[0].shape[0])


def check_rows(x: Any, y: Any, weight: Any) -> int:
    """The number of rows, the same in every array.

    Raises:
        ValueError: no rows, no arrays, or different numbers of rows.
    """
    counts: dict[str, int] = {}
    for what, tree in (("x", x), ("y", y), ("sample_weight", weight)):
        for leaf in jax.tree.leaves(tree):
            if leaf.ndim == 0:
                raise errors.invalid(what, "the data", "an array with rows", leaf)
            counts.setdefault(what, int(leaf.shape[0]))
            if leaf.shape[0] != counts[what]:
                raise errors.invalid(what, "its arrays", "of equal length", leaf.shape[0])
    if not counts:
        raise errors.invalid("fit", "x", "an array, a table or a stream of batches", x)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{what} has {n} rows" for what, n in counts.items())
        raise ValueError(f"The data must have one number of rows: {listed}.")
    rows = next(iter(counts.values()))
    if rows == 0:
        raise ValueError("The data is empty: x has 0 rows. Was everything filtered out?")
    return rows


def check_weight(weight: Any) -> None:
    """Refuse weights that make no loss: negative, not finite, or all zero."""
    for leaf in jax.tree.leaves(weight):
        array = np.asarray(leaf)
        bad = ~(np.isfinite(array) & (array >= 0))
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise errors.invalid(
                "sample_weight", f"row {row}", "a finite number of at least 0", array[row]
            )
        if array.size and not array.any():
            raise ValueError("sample_weight is 0 for every row: there would be nothing to learn.")
