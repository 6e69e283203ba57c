"""NumPy's functions that make arrays."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.config import floatx
from talweg.core.dtypes import standardize_dtype
from talweg.ops.keras_tensor import Tensor, op

Shape = int | Sequence[int]


def kept(dtype: Any) -> Any:
    """The type that JAX keeps of one that is asked for: of 64 bits 32, without a word."""
    return jax.dtypes.canonicalize_dtype(standardize_dtype(dtype))


def zeros(shape: Shape, dtype: Any = None) -> Any:
    """Zeros of `shape`, in `floatx()` unless told."""
    return jnp.zeros(shape, kept(dtype))


def ones(shape: Shape, dtype: Any = None) -> Any:
    """Ones of `shape`, in `floatx()` unless told."""
    return jnp.ones(shape, kept(dtype))


def empty(shape: Shape, dtype: Any = None) -> Any:
    """An array of `shape` whose entries do not matter (zeros)."""
    return jnp.empty(shape, kept(dtype))


def full(shape: Shape, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value`, broadcast to `shape`, in `floatx()` unless told."""
    return jnp.full(shape, jnp.asarray(fill_value), kept(dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the k-th diagonal of an N × M matrix, zeros elsewhere."""
    return jnp.eye(N, M, k, kept(dtype))


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix."""
    return jnp.identity(n, kept(dtype))


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on and below the k-th diagonal."""
    return jnp.tri(N, M, k, kept(dtype))


@op
def zeros_like(x: Tensor, dtype: Any = None) -> Any:
    """Zeros in the shape and type of x."""
    return jnp.zeros_like(x, dtype=dtype)


@op
def ones_like(x: Tensor, dtype: Any = None) -> Any:
    """Ones in the shape and type of x."""
    return jnp.ones_like(x, dtype=dtype)


@op
def empty_like(x: Tensor, dtype: Any = None) -> Any:
    """An array in the shape and type of x whose entries do not matter (zeros)."""
    return jnp.empty_like(x, dtype=dtype)


@op
def full_like(x: Tensor, fill_value: Tensor, dtype: Any = None) -> Any:
    """`fill_value` in the shape and type of x."""
    return jnp.full_like(x, fill_value, dtype=dtype)


@op
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from `start` (0 where only one is given) to `stop`, not included.

    >>> arange(3).tolist()
    [0, 1, 2]
    """
    return jnp.arange(start, stop, step, None if dtype is None else kept(dtype))


@op
def linspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`."""
    return jnp.linspace(start, stop, num, endpoint, retstep, dtype, axis)


@op
def logspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from base**start to base**stop, their logarithms evenly spaced."""
    return jnp.logspace(start, stop, num, endpoint, base, dtype, axis)


@op
def geomspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from `start` to `stop`, their ratios equal."""
    return jnp.geomspace(start, stop, num, endpoint, dtype, axis)


@op
def meshgrid(*x: Tensor, indexing: str = "xy") -> Any:
    """The coordinates of the grid that the vectors span."""
    return jnp.meshgrid(*x, indexing=indexing)


@op
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Any:
    """The Vandermonde matrix: the powers of x as columns."""
    return jnp.vander(x, N, increasing)


def bartlett(x: int) -> Any:
    """The triangular window of x points."""
    return jnp.bartlett(x).astype(floatx())


def blackman(x: int) -> Any:
    """The Blackman window of x points."""
    return jnp.blackman(x).astype(floatx())


def hamming(x: int) -> Any:
    """The Hamming window of x points."""
    return jnp.hamming(x).astype(floatx())


def hanning(x: int) -> Any:
    """The Hann window of x points."""
    return jnp.hanning(x).astype(floatx())


def kaiser(x: int, beta: float) -> Any:
    """The Kaiser window of x points and shape `beta`."""
    return jnp.kaiser(x, beta).astype(floatx())
