"""The nonlinear functions of neural networks."""

from typing import Any

import jax.numpy as jnp
from jax import nn

from talweg.ops.keras_tensor import Tensor, op


@op
def relu(x: Tensor) -> Any:
    """max(x, 0).

    >>> relu([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    return nn.relu(x)


@op
def relu6(x: Tensor) -> Any:
    """min(max(x, 0), 6)."""
    return nn.relu6(x)


@op
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Any:
    """x where positive, `negative_slope` x elsewhere."""
    return nn.leaky_relu(x, negative_slope)


@op
def sigmoid(x: Tensor) -> Any:
    """1 / (1 + exp(-x)).

    >>> float(sigmoid(0.0))
    0.5
    """
    return nn.sigmoid(x)


@op
def hard_sigmoid(x: Tensor) -> Any:
    """relu6(x + 3) / 6."""
    return nn.hard_sigmoid(x)


@op
def sparse_sigmoid(x: Tensor) -> Any:
    """(x + 1) / 2 cut to [0, 1]."""
    return nn.sparse_sigmoid(x)


@op
def log_sigmoid(x: Tensor) -> Any:
    """log(1 / (1 + exp(-x)))."""
    return nn.log_sigmoid(x)


@op
def silu(x: Tensor) -> Any:
    """x sigmoid(x), also named swish."""
    return nn.silu(x)


@op
def hard_silu(x: Tensor) -> Any:
    """x hard_sigmoid(x), also named hard_swish."""
    return nn.hard_silu(x)


swish = silu
hard_swish = hard_silu


@op
def softplus(x: Tensor) -> Any:
    """log(1 + exp(x))."""
    return nn.softplus(x)


@op
def sparse_plus(x: Tensor) -> Any:
    """0 below -1, x above 1, (x + 1)² / 4 between."""
    return nn.sparse_plus(x)


@op
def squareplus(x: Tensor, b: float = 4) -> Any:
    """(x + sqrt(x² + b)) / 2."""
    return nn.squareplus(x, b)


@op
def softsign(x: Tensor) -> Any:
    """x / (1 + |x|)."""
    return nn.soft_sign(x)


@op
def tanh_shrink(x: Tensor) -> Any:
    """x - tanh(x)."""
    return x - jnp.tanh(x)


@op
def hard_tanh(x: Tensor) -> Any:
    """x cut to [-1, 1]."""
    return nn.hard_tanh(x)


@op
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Any:
    """x moved towards 0 by `threshold`, 0 within it."""
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


@op
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Any:
    """x where |x| > `threshold`, else 0."""
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


@op
def threshold(x: Tensor, threshold: float, default_value: float) -> Any:
    """x where x > `threshold`, else `default_value`."""
    return jnp.where(x > threshold, x, default_value)


@op
def elu(x: Tensor, alpha: float = 1.0) -> Any:
    """x where positive, `alpha` (exp(x) - 1) elsewhere."""
    return nn.elu(x, alpha)


@op
def celu(x: Tensor, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(0, `alpha` (exp(x / `alpha`) - 1))."""
    return nn.celu(x, alpha)


@op
def selu(x: Tensor) -> Any:
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1. arXiv:1706.02515."""
    return nn.selu(x)


@op
def gelu(x: Tensor, approximate: bool = True) -> Any:
    """x Φ(x), by the tanh formula where `approximate`. arXiv:1606.08415."""
    return nn.gelu(x, approximate)


@op
def glu(x: Tensor, axis: int = -1) -> Any:
    """a sigmoid(b) for the two halves a, b of `x` along `axis`. arXiv:1612.08083."""
    return nn.glu(x, axis)


@op
def softmax(x: Tensor, axis: int | tuple[int, ...] | None = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`.

    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    return nn.softmax(jnp.asarray(x), axis)


@op
def log_softmax(x: Tensor, axis: int | tuple[int, ...] | None = -1) -> Any:
    """x - log(sum(exp(x))) along `axis`."""
    return nn.log_softmax(jnp.asarray(x), axis)


@op
def sparsemax(x: Tensor, axis: int = -1) -> Any:
    """The nearest point of the simplex: max(x - τ, 0), with τ such that the sum is 1.

    Martins & Astudillo, ICML 2016, arXiv:1602.02068.

    >>> sparsemax([1.0, 0.0, -1.0]).tolist()
    [1.0, 0.0, 0.0]
    """
    z = jnp.moveaxis(jnp.asarray(x), axis, -1)
    descending = -jnp.sort(-z, axis=-1)
    excess = jnp.cumsum(descending, axis=-1) - 1
    k = jnp.arange(1, z.shape[-1] + 1)
    in_support = descending - excess / k > 0
    size = jnp.sum(in_support, axis=-1, keepdims=True)
    support_sum = jnp.sum(jnp.where(in_support, descending, 0.0), axis=-1, keepdims=True)
    tau = (support_sum - 1) / size
    return jnp.moveaxis(jnp.maximum(z - tau, 0.0), -1, axis)
