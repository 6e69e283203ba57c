"""Moments and normalizations; half types are computed in float32."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg.core import errors
from talweg.core.config import epsilon as default_epsilon
from talweg.ops.keras_tensor import Tensor, op

Axes = int | Sequence[int]


def _axes(axis: Axes | None) -> Any:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


@op
def moments(
    x: Tensor, axes: Axes, keepdims: bool = False, synchronized: bool = False
) -> tuple[Any, Any]:
    """The mean and the variance along `axes`.

    >>> [float(m) for m in moments([1.0, 3.0], axes=[0])]
    [2.0, 1.0]
    """
    if synchronized:
        raise errors.invalid("moments", "synchronized", "False", synchronized)
    x = jnp.asarray(x)
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    axes = _axes(axes)
    mean = jnp.mean(wide, axes, keepdims=True)
    variance = jnp.mean(jnp.square(wide - mean), axes, keepdims=keepdims)
    mean = mean if keepdims else jnp.squeeze(mean, axes)
    if x.dtype.itemsize > 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        return mean, variance
    limit = jnp.finfo(jnp.float16).max
    narrow = [jnp.clip(m, -limit, limit).astype(x.dtype) for m in (mean, variance)]
    return narrow[0], narrow[1]


@op
def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    offset: Tensor = None,
    scale: Tensor = None,
    epsilon: float = 1e-3,
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) × scale + offset, vectors along `axis`."""
    shape = [1] * x.ndim
    shape[axis] = mean.shape[0]
    factor = lax.rsqrt(variance.reshape(shape) + epsilon)
    if scale is not None:
        factor = factor * scale.reshape(shape)
    shift = -mean.reshape(shape) * factor
    if offset is not None:
        shift = shift + offset.reshape(shape)
    return x * factor + shift


@op
def layer_normalization(
    x: Tensor,
    gamma: Tensor = None,
    beta: Tensor = None,
    axis: Axes = -1,
    epsilon: float | None = None,
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) × gamma + beta, moments along `axis`.

    Ba, Kiros & Hinton, 2016, arXiv:1607.06450.

    >>> layer_normalization([[1.0, 3.0]]).round(2).tolist()
    [[-1.0, 1.0]]
    """
    epsilon = default_epsilon() if epsilon is None else epsilon
    x = jnp.asarray(x)
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    axes = sorted(a % x.ndim for a in ([axis] if isinstance(axis, int) else axis))
    mean, variance = moments(wide, axes, keepdims=True)
    shape = [size if a in axes else 1 for a, size in enumerate(x.shape)]
    factor = lax.rsqrt(variance + epsilon)
    if gamma is not None:
        factor = factor * _along(gamma, shape, wide)
    outputs = wide * factor - mean * factor
    if beta is not None:
        outputs = outputs + _along(beta, shape, wide)
    return outputs.astype(x.dtype)


def _along(vector: Any, shape: Sequence[int], x: Any) -> Any:
    vector = jnp.asarray(vector, x.dtype)
    return vector if vector.ndim == x.ndim else vector.reshape(shape)


@op
def rms_normalization(
    x: Tensor, scale: Tensor = None, axis: Axes = -1, epsilon: float | None = None
) -> Any:
    """x / sqrt(mean x² + epsilon) × scale along `axis`.

    Zhang & Sennrich, NeurIPS 2019, arXiv:1910.07467.

    >>> rms_normalization([3.0, 3.0]).round(2).tolist()
    [1.0, 1.0]
    """
    epsilon = default_epsilon() if epsilon is None else epsilon
    x = jnp.atleast_1d(jnp.asarray(x))
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    outputs = wide * lax.rsqrt(jnp.mean(jnp.square(wide), _axes(axis), keepdims=True) + epsilon)
    if scale is not None:
        outputs = outputs * jnp.asarray(scale, wide.dtype)
    return outputs.astype(x.dtype)


@op
def normalize(
    x: Tensor, axis: Axes | None = -1, order: int = 2, epsilon: float | None = None
) -> Any:
    """x divided by its norm of the given order along `axis`, or over all entries for None.

    >>> normalize([3.0, 4.0]).round(2).tolist()[1] > 0.79
    True
    """
    if not isinstance(order, int) or order < 1:
        raise errors.invalid("normalize", "order", "an integer from 1", order)
    epsilon = default_epsilon() if epsilon is None else epsilon
    x = jnp.atleast_1d(jnp.asarray(x))
    if order == 2:
        wide = x.astype(jnp.promote_types(x.dtype, "float32"))
        square = jnp.sum(jnp.square(wide), _axes(axis), keepdims=True)
        # The floor is under the root, so that a vector of zeros has a finite gradient.
        return (wide * lax.rsqrt(jnp.maximum(square, epsilon**2))).astype(x.dtype)
    norms = jnp.linalg.norm(x, order, _axes(axis), keepdims=True)
    return x / jnp.maximum(norms, epsilon)
