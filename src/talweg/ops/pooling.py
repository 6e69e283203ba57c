"""Poolings: one number for each window of an image.

Images are (batch, *spatial, channels), or (batch, channels, *spatial) with
`data_format="channels_first"`.
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from talweg.ops.convolutions import Sizes, checked_padding, each, layout
from talweg.ops.keras_tensor import Tensor, op


def _windows(sizes: Sizes, rank: int, channels_last: bool) -> tuple[int, ...]:
    if not isinstance(sizes, int) and len(sizes) == rank + 2:
        return tuple(sizes)
    spatial = each(sizes, rank)
    return (1, *spatial, 1) if channels_last else (1, 1, *spatial)


@op
def max_pool(
    inputs: Tensor,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The largest entry of each window; strides are `pool_size` unless given.

    >>> max_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [1.0, 3.0]
    """
    last = layout(inputs.ndim - 2, data_format)[1]
    window = _windows(pool_size, inputs.ndim - 2, last)
    steps = window if strides is None else _windows(strides, inputs.ndim - 2, last)
    floating = jnp.issubdtype(inputs.dtype, jnp.floating)
    lowest = -jnp.inf if floating else jnp.iinfo(inputs.dtype).min
    # A start from NumPy is known while code is traced: only so can JAX take the gradient.
    start = np.array(lowest, inputs.dtype)
    return lax.reduce_window(
        inputs, start, lax.max, window, steps, checked_padding(padding, "max_pool")
    )


@op
def average_pool(
    inputs: Tensor,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The mean of each window, padding left out; strides are `pool_size` unless given.

    >>> average_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [0.5, 2.5]
    """
    last = layout(inputs.ndim - 2, data_format)[1]
    window = _windows(pool_size, inputs.ndim - 2, last)
    steps = window if strides is None else _windows(strides, inputs.ndim - 2, last)
    mode = checked_padding(padding, "average_pool")

    def summed(x: Any) -> Any:
        return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, window, steps, mode)

    if mode == "VALID":
        return summed(inputs) / math.prod(window)
    # How many entries a window holds depends on its place alone, not on batch or channel.
    shape = [size if w != 1 else 1 for size, w in zip(inputs.shape, window, strict=True)]
    return summed(inputs) / summed(jnp.ones(shape, inputs.dtype))


def _adaptive(
    inputs: Any, output_size: Sizes, data_format: str | None, reduce: Callable[..., Any]
) -> Any:
    """`reduce` over windows from floor(i n / m) to ceil((i + 1) n / m), axis by axis."""
    rank = inputs.ndim - 2
    first = 1 if layout(rank, data_format)[1] else 2
    for axis, m in enumerate(each(output_size, rank), start=first):
        n = inputs.shape[axis]
        bounds = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        parts = [
            reduce(lax.slice_in_dim(inputs, low, high, axis=axis), axis=axis, keepdims=True)
            for low, high in bounds
        ]
        inputs = jnp.concatenate(parts, axis)
    return inputs


@op
def adaptive_average_pool(
    inputs: Tensor, output_size: Sizes, data_format: str | None = None
) -> Any:
    """The means of windows sized so that the output is `output_size`."""
    return _adaptive(inputs, output_size, data_format, jnp.mean)


@op
def adaptive_max_pool(inputs: Tensor, output_size: Sizes, data_format: str | None = None) -> Any:
    """The largest entries of windows sized so that the output is `output_size`."""
    return _adaptive(inputs, output_size, data_format, jnp.max)
