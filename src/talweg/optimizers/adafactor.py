"""Adafactor: the mean square of a matrix from the means of its rows and columns.

    b  = 1 - t^d,                           d = beta_2_decay
    q  = g² + eps1
    r <- b r + (1 - b) mean of q over the last axis
    c <- b c + (1 - b) mean of q over the axis before it
    v  = r c / mean(r)                      matrices and kernels; else v <- b v + (1 - b) q
    u  = g / sqrt(v),   u <- u / max(1, rms(u) / clip_threshold)
    p <- p - max(eps2, rms(p)) min(rate, 1/sqrt(t)) u

Shazeer & Stern, ICML 2018, arXiv:1804.04235, without momentum. As in Keras, the last two axes
are factored, and v is kept among the slots even where it follows from r and c.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    row: Any
    column: Any
    velocity: Any


def adafactor(
    g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array
) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    forgotten = t**h.beta_2_decay
    kept = 1 - forgotten
    q = jnp.square(g) + h.epsilon_1
    r, c = s.row, s.column
    if p.ndim < 2:
        v = kept * s.velocity + forgotten * q
    else:
        r = kept * r + forgotten * jnp.mean(q, axis=-1)
        c = kept * c + forgotten * jnp.mean(q, axis=-2)
        share = r / jnp.mean(r, axis=-1, keepdims=True)
        v = share[..., None] * c[..., None, :]
    u = g / jnp.sqrt(v)
    u = u / jnp.maximum(1, _rms(u) / h.clip_threshold)
    rate = jnp.minimum(h.learning_rate, 1 / jnp.sqrt(t))
    return -jnp.maximum(h.epsilon_2, _rms(p)) * rate * u, Slots(r, c, v)


def _rms(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(x)))


class Adafactor(Optimizer):
    """Adam's scaling with factored moments, and steps relative to the tensor's size.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001. The share of its
            root mean square that each tensor moves, at most 1/sqrt(t).
        beta_2_decay: the power by which the memory grows: the mean square forgets
            t^beta_2_decay of itself at step t.
        epsilon_1: added to the squared gradient.
        epsilon_2: the least size of a tensor.
        clip_threshold: the largest root mean square of u.
        relative_step: kept for configs of Keras, where it changes nothing either: the
            rate never exceeds 1/sqrt(t).

    When to use it: transformers whose tensors differ much in scale, at a rate that falls.

    >>> Adafactor(0.01).clip_threshold
    1.0

    Source: Shazeer & Stern, ICML 2018, arXiv:1804.04235; keras.optimizers.Adafactor.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-1."
    )
    beta_2_decay: float = hyper(
        default=-0.8, interval="(-inf, 0]", hint="Above 0 the memory would be negative."
    )
    epsilon_1: float = hyper(default=1e-30, interval="[0, inf)")
    epsilon_2: float = hyper(default=1e-3, interval="[0, inf)")
    clip_threshold: float = hyper(default=1.0, interval="(0, inf)")
    relative_step: bool = static(default=True)

    rule = staticmethod(adafactor)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        if p.ndim < 2:  # nothing to factor: placeholders, so that files of Keras fit
            return Slots(jnp.int32(0), jnp.int32(0), zeros)
        row, column = p.shape[:-1], p.shape[:-2] + p.shape[-1:]
        return Slots(jnp.zeros(row, p.dtype), jnp.zeros(column, p.dtype), zeros)
