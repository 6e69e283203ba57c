"""`import tensorflow as tf`: the names of TensorFlow that scripts around tf.keras use.

Tensors are `jax.Array`s, dtypes are NumPy's. Functions keep TensorFlow's arguments and
defaults where these differ from Keras's: `tf.argmax` and `tf.cumsum` go along axis 0.
"""

# ruff: noqa: F401, F811 (names are imported to be exported)

import builtins
import contextlib
import logging as _logging
import math as _math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg import ops
from talweg.compat.tensorflow._arrays import (
    boolean_mask,
    broadcast_to,
    clip_by_value,
    concat,
    convert_to_tensor,
    expand_dims,
    eye,
    fill,
    gather,
    identity,
    linspace,
    meshgrid,
    one_hot,
    ones,
    ones_like,
    pad,
    range,
    rank,
    repeat,
    reshape,
    reverse,
    roll,
    shape,
    size,
    slice,
    sort,
    split,
    squeeze,
    stack,
    tile,
    transpose,
    unique,
    unstack,
    where,
    zeros,
    zeros_like,
)
from talweg.compat.tensorflow._variables import IndexedSlices, Variable
from talweg.compat.tensorflow.linalg import (
    clip_by_global_norm,
    clip_by_norm,
    norm,
)
from talweg.compat.tensorflow.math import (
    abs,
    add,
    add_n,
    argmax,
    argmin,
    argsort,
    ceil,
    cos,
    cumsum,
    divide,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    pow,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    squared_difference,
    subtract,
    tan,
    tanh,
)
from talweg.data.elements import TensorSpec
from talweg.ops import (
    cast,
    custom_gradient,
    einsum,
    is_tensor,
    stop_gradient,
    tensordot,
)
from talweg.ops import scatter as _scatter

Tensor = jax.Array

float16, float32, float64 = map(jnp.dtype, ("float16", "float32", "float64"))
bfloat16 = jnp.dtype(jnp.bfloat16)
int8, int16, int32, int64 = map(jnp.dtype, ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = map(jnp.dtype, ("uint8", "uint16", "uint32", "uint64"))
bool = jnp.dtype("bool")
half, double = float16, float64
newaxis = None


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor with these values, filled up to `shape` where one number is given.

    >>> constant([1.0, 2.0]).shape
    (2,)
    """
    tensor = convert_to_tensor(value, dtype)
    if shape is None:
        return tensor
    return ops.full(shape, tensor) if tensor.size == 1 else ops.reshape(tensor, shape)


def function(func: Callable[..., Any] | None = None, **_: Any) -> Callable[..., Any]:
    """The function itself, or a decorator that returns it.

    TensorFlow compiles here. talweg compiles whole steps inside `fit`; a function of one's
    own runs as it is written, operation by operation. To compile it: `jax.jit`.

    >>> function(jit_compile=True)(abs) is abs
    True
    """
    return func if func is not None else lambda decorated: decorated


def matmul(
    a: Any, b: Any, transpose_a: Any = False, transpose_b: Any = False, name: str | None = None
) -> Any:
    """The matrix product; leading axes are batches."""
    a, b = jnp.asarray(a), jnp.asarray(b)
    a = jnp.swapaxes(a, -1, -2) if transpose_a else a
    b = jnp.swapaxes(b, -1, -2) if transpose_b else b
    return ops.matmul(a, b)


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`."""
    return ops.cond(pred, true_fn, false_fn)


def while_loop(
    cond: Any, body: Any, loop_vars: Any, maximum_iterations: int | None = None, **_: Any
) -> Any:
    """`loop_vars = body(*loop_vars)` while `cond(*loop_vars)`."""
    return ops.while_loop(cond, body, loop_vars, maximum_iterations)


def map_fn(fn: Callable[..., Any], elems: Any, **_: Any) -> Any:
    """`fn` of each slice along the first axis, stacked."""
    return ops.map(fn, elems)


def scatter_nd(indices: Any, updates: Any, shape: Sequence[int], name: str | None = None) -> Any:
    """Zeros of `shape` with `updates` added at `indices`."""
    return _scatter(indices, updates, shape)


def as_dtype(type_value: Any) -> Any:
    """A type from its name."""
    return jnp.dtype(type_value)


class TensorShape(tuple[int | None, ...]):
    """A shape: a tuple that TensorFlow's methods work on, too.

    >>> TensorShape([None, 3]).as_list()
    [None, 3]
    """

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    ndims = rank

    def as_list(self) -> list[int | None]:
        """The sizes in a list."""
        return list(self)

    def num_elements(self) -> int | None:
        """The number of entries; None where a size is not known."""
        return None if None in self else _math.prod(size or 0 for size in self)


def executing_eagerly() -> builtins.bool:
    """True outside `fit`, where operations run one by one."""
    return True


def get_logger() -> _logging.Logger:
    """The logger of talweg."""
    return _logging.getLogger("talweg")


def device(device_name: Any) -> Any:
    """A context without effect: JAX's default device computes."""
    return contextlib.nullcontext(device_name)


def name_scope(name: str) -> Any:
    """A context without effect."""
    return contextlib.nullcontext(name)


def print(*inputs: Any, output_stream: Any = None, **_: Any) -> None:
    """Print values; inside a compiled step they are those of the step (`jax.debug.print`)."""
    jax.debug.print(" ".join("{}" for _ in inputs), *inputs)
