"""Conversions, and access by index."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from talweg.core import errors
from talweg.core.config import floatx
from talweg.core.dtypes import standardize_dtype
from talweg.core.variables import Variable
from talweg.ops.keras_tensor import (
    KerasTensor,
    Tensor,
    as_array,
    op,
)


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Any:
    """`x` as a `jax.Array`: of `dtype`, its own type, or `floatx()` for Python floats.

    `sparse` and `ragged` are Keras's; JAX's tensors are dense.

    Raises:
        ValueError: a 64-bit integer does not fit its 32-bit type (Keras wraps it).

    >>> convert_to_tensor([1.0, 2.0]).dtype.name
    'float32'
    """
    if isinstance(x, KerasTensor):
        return x if dtype in (None, x.dtype) else cast(x, dtype)
    if dtype is None and isinstance(x, float):
        dtype = floatx()
    return as_array(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy copy of an array, variable or list.

    >>> convert_to_numpy(jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    return np.array(x.value if isinstance(x, Variable) else x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is an array of the backend (or symbolic)."""
    return isinstance(x, (jax.Array, KerasTensor))


def array(x: Any, dtype: Any = None) -> Any:
    """The same as `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of `x`; None where they are not known.

    >>> shape([[1.0, 2.0]])
    (1, 2)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(np.shape(x))


def dtype(x: Any) -> str:
    """The name of the type of `x`."""
    return standardize_dtype(x.dtype if hasattr(x, "dtype") else as_array(x).dtype)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(shape(x))


@op
def cast(x: Tensor, dtype: Any) -> Any:
    """`x` in another type.

    >>> cast([1.7], "int32").tolist()
    [1]
    """
    target = jax.dtypes.canonicalize_dtype(standardize_dtype(dtype))
    if isinstance(x, int):
        # A size stays known where code is traced: ones((cast(shape(x)[0], "int64"), 1)).
        with jax.ensure_compile_time_eval():
            return jnp.asarray(x, target)
    return jnp.asarray(x, target)


@op
def saturate_cast(x: Tensor, dtype: Any) -> Any:
    """`x` in another type, clipped to that type's range first.

    >>> saturate_cast([300.0, -5.0], "uint8").tolist()
    [255, 0]
    """
    x = jnp.asarray(x)
    target = jax.dtypes.canonicalize_dtype(standardize_dtype(dtype))
    if target == jnp.bool_:
        return jnp.clip(x, 0, 1).astype(target)
    limits = jnp.iinfo(target) if jnp.issubdtype(target, jnp.integer) else jnp.finfo(target)
    if jnp.issubdtype(x.dtype, jnp.bool_):
        return x.astype(target)
    own = jnp.iinfo(x.dtype) if jnp.issubdtype(x.dtype, jnp.integer) else jnp.finfo(x.dtype)
    low, high = max(float(limits.min), float(own.min)), min(float(limits.max), float(own.max))
    # The bounds go through NumPy: float(int32 max) is one too many for an int32.
    integers = jnp.issubdtype(x.dtype, jnp.integer)
    low, high = (int(low), min(int(high), int(own.max))) if integers else (low, high)
    clipped = jnp.clip(x, low, high)
    if not integers and jnp.issubdtype(target, jnp.integer):
        highest = jnp.asarray(limits.max, target)
        return jnp.where(x >= float(limits.max), highest, clipped.astype(target))
    return clipped.astype(target)


@op
def stop_gradient(variable: Tensor) -> Any:
    """`variable`, through which no gradient flows."""
    return lax.stop_gradient(variable)


@op
def slice(inputs: Tensor, start_indices: Any, shape: Sequence[int]) -> Any:
    """The block of `shape` that starts at `start_indices`; starts may be traced.

    A size of -1 takes all that follows the start, which then must be known.

    >>> slice([[1, 2], [3, 4]], (1, 0), (1, 2)).tolist()
    [[3, 4]]
    """
    sizes = [
        whole - int(start_indices[i]) if size == -1 else size
        for i, (whole, size) in enumerate(zip(inputs.shape, shape, strict=True))
    ]
    return lax.dynamic_slice(inputs, tuple(start_indices), sizes)


@op
def slice_update(inputs: Tensor, start_indices: Any, updates: Tensor) -> Any:
    """`inputs` with `updates` written at `start_indices`."""
    return lax.dynamic_update_slice(inputs, updates, tuple(start_indices))


@op
def scatter(indices: Tensor, values: Tensor, shape: Sequence[int]) -> Any:
    """Zeros of `shape`, with `values` added at `indices` (the last axis indexes).

    >>> scatter([[0], [2]], [1.0, 2.0], (3,)).tolist()
    [1.0, 0.0, 2.0]
    """
    indices, values = jnp.asarray(indices), jnp.asarray(values)
    return jnp.zeros(shape, values.dtype).at[tuple(jnp.moveaxis(indices, -1, 0))].add(values)


@op
def scatter_update(
    inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None
) -> Any:
    """`inputs` with `updates` at `indices`: set, or combined by "add", "max", "min", "mul".

    >>> scatter_update([1.0, 2.0], [[1]], [5.0]).tolist()
    [1.0, 5.0]
    """
    at = jnp.asarray(inputs).at[tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0))]
    return getattr(at, reduction or "set")(updates)


@op
def get_item(x: Tensor, key: Any) -> Any:
    """`x[key]`."""
    return x[key]


@op
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> Any:
    """The slices of `x` along `axis`, as a list.

    Args:
        x: the tensor.
        num: the size of `axis`; needed for a symbolic tensor that does not know it.
        axis: which axis goes away.

    Raises:
        ValueError: there is no such axis, or its size is another than `num`.

    >>> [part.tolist() for part in unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    if not -x.ndim <= axis < x.ndim:
        raise errors.invalid("unstack", "axis", f"an axis of {x.ndim}", axis)
    size = x.shape[axis]
    # While it is traced, a size may stand for one that is not known.
    if num not in (None, size) and not isinstance(x, Tracer):
        raise errors.invalid("unstack", "num", f"the size of the axis, {size}", num)
    count = size if num is None else num
    return [lax.index_in_dim(x, i, axis, keepdims=False) for i in range(count)]
