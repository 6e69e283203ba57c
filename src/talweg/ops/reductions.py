"""NumPy's functions that reduce, accumulate, order or count along axes."""

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.scipy import special

from talweg.core import errors
from talweg.core.config import floatx
from talweg.ops.keras_tensor import Tensor, op

Axis = int | Sequence[int] | None


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Any:
        return function(x, axis=_axes(axis), keepdims=keepdims)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = f"The same as `jax.numpy.{function.__name__}`."
    return op(call)


def _axes(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


all = _reduction(jnp.all)
amax = _reduction(jnp.amax)
amin = _reduction(jnp.amin)
any = _reduction(jnp.any)
argmax = _reduction(jnp.argmax)
argmin = _reduction(jnp.argmin)
mean = _reduction(jnp.mean)
median = _reduction(jnp.median)
nanargmax = _reduction(jnp.nanargmax)
nanargmin = _reduction(jnp.nanargmin)
nanmax = _reduction(jnp.nanmax)
nanmean = _reduction(jnp.nanmean)
nanmedian = _reduction(jnp.nanmedian)
nanmin = _reduction(jnp.nanmin)
nanprod = _reduction(jnp.nanprod)
nanstd = _reduction(jnp.nanstd)
nansum = _reduction(jnp.nansum)
nanvar = _reduction(jnp.nanvar)
ptp = _reduction(jnp.ptp)
std = _reduction(jnp.std)
sum = _reduction(jnp.sum)
var = _reduction(jnp.var)


@op
def max(x: Tensor, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The largest entry along `axis`, and not less than `initial`."""
    return jnp.max(x, axis=_axes(axis), keepdims=keepdims, initial=initial)


@op
def min(x: Tensor, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The smallest entry along `axis`, and not more than `initial`."""
    return jnp.min(x, axis=_axes(axis), keepdims=keepdims, initial=initial)


@op
def prod(x: Tensor, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product along `axis`."""
    return jnp.prod(x, axis=_axes(axis), keepdims=keepdims, dtype=dtype)


@op
def average(x: Tensor, axis: Axis = None, weights: Tensor = None) -> Any:
    """The mean along `axis`, weighted.

    >>> float(average([1.0, 3.0], weights=[3.0, 1.0]))
    1.5
    """
    return jnp.average(x, axis=_axes(axis), weights=weights)


@op
def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Any:
    """log Σ exp(x) along `axis`, without overflow."""
    return special.logsumexp(x, axis=_axes(axis), keepdims=keepdims)


@op
def count_nonzero(x: Tensor, axis: Axis = None) -> Any:
    """How many entries along `axis` are not 0."""
    return jnp.count_nonzero(x, axis=_axes(axis)).astype("int32")


@op
def quantile(
    x: Tensor, q: Tensor, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-quantiles along `axis`, q in [0, 1]."""
    return jnp.quantile(x, q, axis=_axes(axis), method=method, keepdims=keepdims)


@op
def nanquantile(
    x: Tensor, q: Tensor, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-quantiles along `axis`, NaN left out."""
    return jnp.nanquantile(x, q, axis=_axes(axis), method=method, keepdims=keepdims)


@op
def percentile(
    x: Tensor, q: Tensor, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-th percentiles along `axis`, q in [0, 100]."""
    return jnp.percentile(x, q, axis=_axes(axis), method=method, keepdims=keepdims)


@op
def nanpercentile(
    x: Tensor, q: Tensor, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-th percentiles along `axis`, NaN left out."""
    return jnp.nanpercentile(x, q, axis=_axes(axis), method=method, keepdims=keepdims)


@op
def cumsum(x: Tensor, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sums along `axis`, of the flattened array where None."""
    return jnp.cumsum(x, axis=axis, dtype=dtype)


@op
def cumprod(x: Tensor, axis: int | None = None, dtype: Any = None) -> Any:
    """Running products along `axis`, of the flattened array where None."""
    return jnp.cumprod(x, axis=axis, dtype=dtype)


@op
def nancumsum(x: Tensor, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sums, NaN counted as 0."""
    return jnp.nancumsum(x, axis=axis, dtype=dtype)


@op
def nancumprod(x: Tensor, axis: int | None = None, dtype: Any = None) -> Any:
    """Running products, NaN counted as 1."""
    return jnp.nancumprod(x, axis=axis, dtype=dtype)


@op
def diff(a: Tensor, n: int = 1, axis: int = -1) -> Any:
    """The n-th differences of neighbours along `axis`."""
    return jnp.diff(a, n=n, axis=axis)


@op
def trapezoid(y: Tensor, x: Tensor = None, dx: Tensor = 1.0, axis: int = -1) -> Any:
    """The integral along `axis` by the trapezoidal rule."""
    return jnp.trapezoid(y, x, dx=dx, axis=axis)


@op
def sort(x: Tensor, axis: int = -1) -> Any:
    """The entries along `axis`, ascending."""
    return jnp.sort(x, axis=axis)


@op
def argsort(x: Tensor, axis: int = -1) -> Any:
    """The indices that sort along `axis`."""
    x = jnp.asarray(x)
    return jnp.argsort(x, axis=axis if x.ndim else None)


@op
def argpartition(x: Tensor, kth: int, axis: int | None = -1) -> Any:
    """Indices that put the `kth` smallest in place, smaller ones before it."""
    x = jnp.asarray(x)
    return jnp.argpartition(x.ravel() if axis is None else x, kth, axis=0 if axis is None else axis)


@op
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Any:
    """Where `values` would be inserted in a sorted vector."""
    return jnp.searchsorted(sorted_sequence, values, side=side)


@op
def digitize(x: Tensor, bins: Tensor) -> Any:
    """The index of the bin of each entry; `bins` are the ascending bounds."""
    return jnp.digitize(x, bins)


@op
def bincount(x: Tensor, weights: Tensor = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each of 0, 1, … occurs (in each row), weighted; not inside a trace."""
    x = jnp.asarray(x)
    if x.ndim != 2:
        return jnp.bincount(x, weights=weights, minlength=minlength)
    length = builtins.max(int(x.max()) + 1, minlength)
    rows = [None] * len(x) if weights is None else weights
    counts = [jnp.bincount(r, weights=w, length=length) for r, w in zip(x, rows, strict=True)]
    return jnp.stack(counts)


@op
def histogram(x: Tensor, bins: Any = 10, range: tuple[float, float] | None = None) -> Any:
    """The counts in each of the `bins`, and their bounds."""
    if range is not None and (len(range) != 2 or range[1] < range[0]):
        raise errors.invalid("histogram", "range", "a pair (least, greatest)", range)
    return jnp.histogram(x, bins=bins, range=range)


@op
def corrcoef(x: Tensor) -> Any:
    """The correlations between rows."""
    x = jnp.asarray(x)
    return jnp.corrcoef(x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(floatx()))


@op
def correlate(x1: Tensor, x2: Tensor, mode: str = "valid") -> Any:
    """The cross-correlation of two vectors."""
    return jnp.correlate(x1, x2, mode)


@op
def unique(
    x: Tensor,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct entries (slices along `axis`); give `size` inside a trace."""
    return jnp.unique(
        x,
        return_index=return_index,
        return_inverse=return_inverse,
        return_counts=return_counts,
        axis=axis,
        equal_nan=False,
        size=size,
        sorted=sorted,
        fill_value=fill_value,
    )


@op
def nonzero(x: Tensor) -> Any:
    """The indices of the entries that are not 0, one array per axis; not inside a trace."""
    return jnp.nonzero(x)


@op
def isin(x1: Tensor, x2: Tensor, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each entry of x1 is among those of x2."""
    return jnp.isin(x1, x2, assume_unique=assume_unique, invert=invert)
