"""Adamax: Adam with the largest recent gradient in place of the root mean square.

    m <- b1 m + (1 - b1) g
    u <- max(b2 u, |g|)
    p <- p - rate / (1 - b1^t) m / (u + eps)

Kingma & Ba, ICLR 2015, arXiv:1412.6980, section 7.1. The paper has no epsilon; optax puts
it inside the maximum, beside |g|.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    norm: Any


def adamax(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    u = jnp.maximum(h.beta_2 * s.norm, jnp.abs(g))
    return -h.learning_rate * m / ((1 - h.beta_1**t) * (u + h.epsilon)), Slots(m, u)


class Adamax(Optimizer):
    """Adam scaled by the infinity norm of the recent gradients.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the largest gradient fades.
        epsilon: added to the largest gradient.

    When to use it: where single gradients are much larger than the rest, as with
    embeddings; no step of a component is much larger than the rate.

    >>> Adamax(2e-3).beta_2
    0.999

    Source: Kingma & Ba, ICLR 2015, arXiv:1412.6980; keras.optimizers.Adamax.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.999,
        interval="[0, 1)",
        hint="At 1.0 the largest gradient never fades; 0.999 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")

    rule = staticmethod(adamax)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))
