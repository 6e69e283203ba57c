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
    become arrays; dicts, tuples and lists of arrays keep their structure, and None in them
    stays: an input, target or weight that is left out.

    Args:
        value: arrays, tables, tensors, or lists of numbers.
        what: "x", "y" or "sample_weight", for messages.

    Raises:
        TypeError: strings, objects, dates, masked, sparse or complex arrays.
        ValueError: integers beyond 32 bits, ragged lists.
    """
    if value is None:
        return None
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):
        return _from_frame(value, what)
    if isinstance(value, Mapping):
        return {key: to_host(item, f"{what}[{key!r}]") for key, item in value.items()}
    if holds_arrays(value):
        return tuple(to_host(item, f"{what}[{i}]") for i, item in enumerate(value))
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, jax.Array):
        _refuse_kind(value.dtype, what)
        return value
    return _to_array(value, what)


def holds_arrays(value: Any) -> bool:
    """Whether a list is a list of inputs, and not one array written as nested lists.

    >>> holds_arrays([np.zeros(2), None]), holds_arrays([[1.0, 2.0], [3.0, 4.0]])
    (True, False)
    """
    if not isinstance(value, (list, tuple)):
        return False
    return any(item is not None for item in value) and all(
        item is None
        or (hasattr(item, "shape") and len(item.shape) > 0)
        or isinstance(item, Mapping)
        or holds_arrays(item)
        for item in value
    )


def _from_frame(frame: Any, what: str) -> np.ndarray:
    """A table as one matrix; a column that is no number is named."""
    if hasattr(frame, "iloc"):
        for i, (name, kind) in enumerate(frame.dtypes.items()):
            _check_column(frame.iloc[:, i], kind, what, f"column {name!r}")
    return _to_array(frame.to_numpy(), what)


def _check_column(column: Any, kind: Any, what: str, which: str) -> None:
    """Refuse a pandas column that is no plain number, and say how to make one of it.

    Raises:
        TypeError: text, categories, dates, nullable types.
    """
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        return
    text = str(kind)
    if text == "category":
        fix = "Use .cat.codes, or one-hot columns: pandas.get_dummies(table)."
    elif getattr(kind, "kind", "") in "mM" or text.startswith(("datetime", "period", "timedelta")):
        fix = "Turn times into numbers first, for example days since the first one."
    elif getattr(kind, "kind", "O") in "fiub":
        missing = int(column.isna().sum())
        fill = f"Fill its {missing} missing values, then" if missing else "Use"
        fix = f"{fill} .astype('float32')."
    else:
        fix = "Encode it, for example with pandas.get_dummies(table), or drop it."
        values = column.dropna()
        if len(values) and all(isinstance(v, (int, float, np.number)) for v in values[:100]):
            fix = "It holds numbers: use .astype('float32')."
    raise errors.wrong_type(what, which, "numeric", text, fix)


def _to_array(value: Any, what: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        raise errors.wrong_type(
            what, "the data", "a plain array", "a masked array",
            "Fill it: array.filled(0), and give the mask as sample_weight.",
        )  # fmt: skip
    if hasattr(value, "tocsr"):
        raise errors.wrong_type(
            what, "the data", "a dense array", "a sparse matrix", "Use .toarray()."
        )
    if hasattr(value, "iloc") and hasattr(value, "dtype"):
        _check_column(value, value.dtype, what, "the column")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise errors.invalid(
            what, "the data", "a rectangular array", value, f"NumPy says: {error}"
        ) from None
    _refuse_kind(array.dtype, what)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "f" and array.dtype.itemsize >= 8:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is named
            array = array.astype(config.floatx())
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        array = _narrowed(array, what)
    return array


def _refuse_kind(dtype: Any, what: str) -> None:
    """Refuse what cannot be computed with.

    Raises:
        TypeError: text, objects, dates, complex numbers.
    """
    if dtype.kind == "c":
        raise errors.wrong_type(
            what, "the data", "real", f"dtype {dtype}", "Stack .real and .imag as features."
        )
    if dtype.kind not in "OUSmMT" and dtype.names is None:
        return
    fix = "Encode text as numbers first, for example one-hot or integer codes."
    if dtype.kind == "O":
        fix = f"An object array holds mixed or ragged values. {fix}"
    elif dtype.kind in "mM":
        fix = "Turn times into numbers first, for example days since the first one."
    elif dtype.names is not None:
        fix = "Use numpy.lib.recfunctions.structured_to_unstructured."
    raise errors.wrong_type(what, "the data", "numeric", f"dtype {dtype}", fix)


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
                raise errors.invalid(
                    what, "the data", "an array with rows", leaf,
                    "Of a data set of single samples make batches: data.batch(32).",
                )  # fmt: skip
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


def check_weight(weight: Any, whole: bool = True) -> None:
    """Refuse weights that make no loss.

    Args:
        weight: an array or a tree of them; None for no weights.
        whole: whether these are the weights of all rows, which cannot all be 0.

    Raises:
        ValueError: a weight is negative or not finite, or all are zero.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(weight)]
    for array in leaves:
        # The extremes first, NaN among them: the search is for the failing case only.
        if not array.size or (array.min() >= 0 and array.max() < np.inf):
            continue
        bad = ~(np.isfinite(array) & (array >= 0))
        row = int(np.argwhere(bad)[0][0])
        raise errors.invalid(
            "sample_weight", f"row {row}", "a finite number of at least 0", array[row]
        )
    if whole and leaves and not any(array.any() for array in leaves):
        raise ValueError("sample_weight is 0 for every row: there would be nothing to learn.")
