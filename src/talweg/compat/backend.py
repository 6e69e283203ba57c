"""Keras 2's `backend` as array library: `K.mean`, `K.square` and the rest.

Keras 3 moved them to `ops`. Where a default changed on the way (`K.argmax` goes along
the last axis), the old one is kept.
"""

# ruff: noqa: F401, F811 (names are imported to be exported)

import math
from typing import Any

import jax.numpy as jnp

from talweg import activations, layers, ops
from talweg.activations import (
    elu,
    hard_sigmoid,
    sigmoid,
    softmax,
    softplus,
    softsign,
    tanh,
)
from talweg.compat.tensorflow._arrays import (
    squeeze,
)
from talweg.compat.tensorflow.math import (
    cumsum,
)
from talweg.compat.tensorflow.random import normal as random_normal
from talweg.compat.tensorflow.random import truncated_normal, uniform
from talweg.core import config
from talweg.core.config import (
    epsilon,
    floatx,
)
from talweg.core.variables import Variable
from talweg.ops import (
    abs,
    all,
    any,
    arange,
    cast,
    clip,
    cos,
    equal,
    exp,
    expand_dims,
    eye,
    greater,
    greater_equal,
    in_top_k,
    less,
    less_equal,
    log,
    logsumexp,
    max,
    maximum,
    mean,
    min,
    minimum,
    ndim,
    not_equal,
    one_hot,
    ones,
    ones_like,
    prod,
    reshape,
    round,
    shape,
    sign,
    sin,
    sqrt,
    square,
    stack,
    std,
    stop_gradient,
    sum,
    tile,
    transpose,
    var,
    zeros,
    zeros_like,
)

gather = ops.take
permute_dimensions = ops.transpose
pow = ops.power
random_uniform = uniform
repeat_elements = ops.repeat


def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest entry stands along `axis`, the last by default."""
    return ops.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Where the smallest entry stands along `axis`, the last by default."""
    return ops.argmin(x, axis)


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """The tensors one after the other along `axis`, the last by default."""
    return ops.concatenate(tensors, axis)


def dot(x: Any, y: Any) -> Any:
    """The product over the last axis of x and the last but one of y."""
    return ops.dot(x, y)


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The product of each pair of rows, as the layer Dot computes it."""
    matched = (ndim(x) - 1, 1 if ndim(y) < 3 else ndim(y) - 2) if axes is None else axes
    return layers.dot([x, y], matched)


def flatten(x: Any) -> Any:
    """All entries in one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """All axes but the first in one."""
    return ops.reshape(x, (-1, math.prod(int(size or 0) for size in ops.shape(x)[1:])))


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x divided by its Euclidean norm along `axis`."""
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0) -> Any:
    """max(x, 0), with a slope below and a limit above."""
    return activations.relu(x, alpha, max_value, threshold)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """The first where the condition holds, the second elsewhere, entry by entry."""
    then, other = (e() if callable(e) else e for e in (then_expression, else_expression))
    return ops.where(condition, then, other)


def reverse(x: Any, axes: Any) -> Any:
    """Reversed along the axes."""
    return ops.flip(x, tuple(axes) if isinstance(axes, (list, tuple)) else axes)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Binary cross-entropy of each entry."""
    return ops.binary_crossentropy(target, output, from_logits)


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Cross-entropy of each row of class probabilities."""
    return ops.categorical_crossentropy(target, output, from_logits, axis)


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Cross-entropy of each class number."""
    return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """A tensor with these values."""
    tensor = ops.convert_to_tensor(value, dtype or floatx())
    return tensor if shape is None else ops.broadcast_to(tensor, shape)


def cast_to_floatx(x: Any) -> Any:
    """An array in the default float type."""
    return jnp.asarray(x.value if isinstance(x, Variable) else x, floatx())


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The sizes, None where they are not known."""
    return ops.shape(x)


def eval(x: Any) -> Any:
    """The value as a NumPy array; a NumPy scalar where it has no axes."""
    return ops.convert_to_numpy(x)[()]


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor."""
    return ops.is_tensor(x)


def dtype(x: Any) -> str:
    """The name of the type."""
    return ops.dtype(x)


def update(x: Variable, new_x: Any) -> Variable:
    """Set a variable."""
    return x.assign(new_x)


def update_add(x: Variable, increment: Any) -> Variable:
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x: Variable, decrement: Any) -> Variable:
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def learning_phase() -> int:
    """0: outside of `fit` everything is inference; inside, layers are told by `training`."""
    return 0


def image_dim_ordering() -> str:
    """Keras 1's name of the image data format: "tf" or "th"."""
    return "tf" if config.image_data_format() == "channels_last" else "th"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Keras 1's name of `set_image_data_format`: "tf" is channels last, "th" first."""
    config.set_image_data_format({"tf": "channels_last", "th": "channels_first"}[dim_ordering])
