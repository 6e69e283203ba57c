"""The activations: functions of `talweg.ops` with the defaults that layers want."""

from typing import Any

import jax.numpy as jnp

from talweg.ops import nonlinear as nn
from talweg.ops.keras_tensor import Tensor, op
from talweg.ops.nonlinear import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh_shrink,
    threshold,
)

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "threshold",
]


@op
def relu(
    x: Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """x from `threshold` to `max_value`, `negative_slope` (x - `threshold`) below.

    Args:
        negative_slope: the slope below the threshold, 0.0 by default.
        max_value: the cap, none by default.
        threshold: where the linear part starts, 0.0 by default.

    >>> relu([-1.0, 2.0, 9.0], max_value=6.0).tolist()
    [0.0, 2.0, 6.0]
    """
    if threshold == 0.0 and max_value is None:
        return nn.relu(x) if negative_slope == 0.0 else nn.leaky_relu(x, negative_slope)
    x = jnp.asarray(x)
    positive = jnp.where(x > threshold, x, 0) if threshold != 0.0 else nn.relu(x)
    if max_value is not None:
        positive = jnp.clip(positive, 0, max_value)
    if negative_slope == 0.0:
        return positive
    return positive - negative_slope * nn.relu(threshold - x)


@op
def gelu(x: Tensor, approximate: bool = False) -> Any:
    """x Φ(x), by the tanh formula where `approximate`. arXiv:1606.08415.

    >>> float(gelu(0.0))
    0.0
    """
    return nn.gelu(x, approximate)


@op
def tanh(x: Tensor) -> Any:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


@op
def exponential(x: Tensor) -> Any:
    """exp(x)."""
    return jnp.exp(x)


@op
def mish(x: Tensor) -> Any:
    """x tanh(softplus(x)). Misra, BMVC 2020, arXiv:1908.08681."""
    return x * jnp.tanh(nn.softplus(x))


def linear(x: Any) -> Any:
    """x itself."""
    return x
