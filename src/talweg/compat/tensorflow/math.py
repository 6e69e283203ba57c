"""`tf.math`: elementwise functions and reductions."""

# ruff: noqa: F401 (names are imported to be exported)

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from talweg import ops
from talweg.activations import (
    log_sigmoid,
    sigmoid,
    softplus,
    softsign,
)
from talweg.ops import (
    abs,
    add,
    ceil,
    cos,
    cosh,
    divide,
    divide_no_nan,
    equal,
    erf,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    imag,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    real,
    reciprocal,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)

_Reduction = Callable[..., Any]


def _reduction(operation: Callable[..., Any], name: str, doc: str) -> _Reduction:
    def reduce(
        input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
    ) -> Any:
        return operation(input_tensor, axis=axis, keepdims=keepdims)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"{doc} along `axis`, of all entries where None."
    return reduce


reduce_sum = _reduction(ops.sum, "reduce_sum", "The sum")
reduce_mean = _reduction(ops.mean, "reduce_mean", "The mean")
reduce_max = _reduction(ops.max, "reduce_max", "The largest entry")
reduce_min = _reduction(ops.min, "reduce_min", "The smallest entry")
reduce_prod = _reduction(ops.prod, "reduce_prod", "The product")
reduce_any = _reduction(ops.any, "reduce_any", "Whether any entry holds")
reduce_all = _reduction(ops.all, "reduce_all", "Whether all entries hold")
reduce_std = _reduction(ops.std, "reduce_std", "The standard deviation")
reduce_variance = _reduction(ops.var, "reduce_variance", "The variance")
reduce_logsumexp = _reduction(ops.logsumexp, "reduce_logsumexp", "log(sum(exp(x)))")

pow = ops.power
floordiv = ops.floor_divide
floormod = mod
truediv = divide
is_nan = ops.isnan
is_inf = ops.isinf
is_finite = ops.isfinite
acos, asin, atan, atan2 = ops.arccos, ops.arcsin, ops.arctan, ops.arctan2
acosh, asinh, atanh = ops.arccosh, ops.arcsinh, ops.arctanh


def argmax(input: Any, axis: int | None = None, output_type: Any = None, name: Any = None) -> Any:
    """Where the largest entry stands along `axis`, the first by default.

    >>> argmax([[1, 5], [3, 2]]).tolist()
    [1, 0]
    """
    return ops.argmax(input, axis=axis or 0)


def argmin(input: Any, axis: int | None = None, output_type: Any = None, name: Any = None) -> Any:
    """Where the smallest entry stands along `axis`, the first by default."""
    return ops.argmin(input, axis=axis or 0)


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING", **_: Any) -> Any:
    """The indices that sort along `axis`."""
    ascending = direction.upper() == "ASCENDING"
    return ops.argsort(values if ascending else ops.negative(values), axis)


def cumsum(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """Running sums along `axis`, with or without the entry itself.

    >>> cumsum([1, 2, 3], exclusive=True).tolist()
    [0, 1, 3]
    """
    x = jnp.asarray(x)
    x = jnp.flip(x, axis) if reverse else x
    sums = jnp.cumsum(x, axis) - (x if exclusive else 0)
    return jnp.flip(sums, axis) if reverse else sums


def squared_difference(x: Any, y: Any, name: Any = None) -> Any:
    """(x - y) squared."""
    return ops.square(ops.subtract(x, y))


def multiply_no_nan(x: Any, y: Any, name: Any = None) -> Any:
    """x y, and 0 where y is 0, whatever x is."""
    y = jnp.asarray(y)
    return ops.where(y == 0, jnp.zeros_like(y), ops.multiply(x, ops.where(y == 0, 1, y)))


def add_n(inputs: Sequence[Any], name: Any = None) -> Any:
    """The sum of several tensors."""
    total, *others = inputs
    for other in others:
        total = ops.add(total, other)
    return total


class TopK(NamedTuple):
    """What `top_k` finds."""

    values: Any
    indices: Any


def top_k(input: Any, k: int = 1, sorted: bool = True, name: Any = None) -> TopK:
    """The k largest entries along the last axis, and their indices.

    >>> top_k([1.0, 3.0, 2.0], k=2).indices.tolist()
    [1, 2]
    """
    return TopK(*ops.top_k(input, k, sorted))


def in_top_k(targets: Any, predictions: Any, k: int, name: Any = None) -> Any:
    """Whether each target is among the k largest predictions of its row."""
    return ops.in_top_k(targets, predictions, k)


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    """x / sqrt(max(sum(x**2), epsilon)) along `axis`.

    >>> l2_normalize([3.0, 4.0]).round(1).tolist()[0] < 0.61
    True
    """
    x = ops.convert_to_tensor(x)
    norm = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(norm, epsilon))


def lgamma(x: Any, name: Any = None) -> Any:
    """The logarithm of the gamma function's magnitude."""
    return jax.scipy.special.gammaln(jnp.asarray(x))


def count_nonzero(input: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    """How many entries are not 0."""
    return jnp.count_nonzero(jnp.asarray(input), axis=axis, keepdims=keepdims)


def bincount(arr: Any, weights: Any = None, minlength: Any = None, **_: Any) -> Any:
    """How often each of 0, 1, … occurs."""
    return ops.bincount(arr, weights, minlength or 0)


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: int | None = None, weights: Any = None,
    dtype: Any = "int32", name: Any = None,
) -> Any:  # fmt: skip
    """How often each label (row) was predicted as each class (column).

    >>> confusion_matrix([0, 1, 1], [0, 1, 0]).tolist()
    [[1, 0], [1, 1]]
    """
    rows = np.asarray(labels, "int64").reshape(-1)
    columns = np.asarray(predictions, "int64").reshape(-1)
    count = num_classes or int(max(rows.max(initial=-1), columns.max(initial=-1))) + 1
    matrix = np.zeros((count, count), "float64")
    np.add.at(matrix, (rows, columns), 1 if weights is None else np.asarray(weights))
    return ops.convert_to_tensor(matrix, dtype)
