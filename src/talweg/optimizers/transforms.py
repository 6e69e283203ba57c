"""What every optimizer may do around its rule: clip, decay, average.

Pure functions over lists of arrays, in the order in which Keras applies them.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

Arrays = list[Any]


def global_norm(arrays: Sequence[Any]) -> jax.Array:
    """`sqrt(sum of squares)` over all arrays, in float32."""
    squares = [jnp.sum(jnp.square(a.astype(jnp.float32))) for a in arrays]
    return jnp.sqrt(sum(squares, jnp.float32(0)))


def clip_by_norm(gradient: jax.Array, limit: Any) -> jax.Array:
    """`g * min(1, limit / |g|)`: one tensor's norm at most `limit`."""
    squares = jnp.sum(jnp.square(gradient))
    # The inner where keeps the derivative of the root finite at zero.
    norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), squares)
    return gradient * limit / jnp.maximum(norm, limit)


def clip_by_global_norm(gradients: Sequence[Any], limit: Any) -> Arrays:
    """All tensors scaled by one factor, so that their joint norm is at most `limit`.

    A joint norm that is not finite makes every gradient NaN, so that it is noticed.
    """
    norm = global_norm(gradients)
    finite = jnp.where(jnp.isfinite(norm), 1.0, jnp.nan)
    scale = limit * jnp.minimum(1.0 / norm, 1.0 / limit) * finite
    return [g * scale.astype(g.dtype) for g in gradients]


def decay(parameters: Sequence[Any], mask: Sequence[bool], rate: Any, weight_decay: Any) -> Arrays:
    """Decoupled weight decay, `p - p * weight_decay * rate`, where the mask is True.

    Source: Loshchilov & Hutter, ICLR 2019, arXiv:1711.05101.
    """
    return [
        p - p * weight_decay.astype(p.dtype) * rate.astype(p.dtype) if chosen else p
        for p, chosen in zip(parameters, mask, strict=True)
    ]


def moving_average(
    averages: Sequence[Any], parameters: Sequence[Any], momentum: Any, step: Any
) -> Arrays:
    """`a * momentum + p * (1 - momentum)`; at step 0 the average is the parameter."""
    momentum = jnp.where(step == 0, 0.0, momentum)
    return [
        a * momentum.astype(a.dtype) + p.astype(a.dtype) * (1 - momentum.astype(a.dtype))
        for a, p in zip(averages, parameters, strict=True)
    ]
