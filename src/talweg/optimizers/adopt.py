"""ADOPT: Adam that divides a gradient by what was known before it came.

    first step    v = g²,  p stays
    then          u = clip(g / max(sqrt(v), eps), ±c_t),   c_t = (t - 1)^(1/4)
                  m <- b1 m + (1 - b1) u
                  p <- p - rate m
                  v <- b2 v + (1 - b2) g²

The division comes before the momentum, and by the v of the step before: then the method
converges with any b2. The clip is that of the authors' later version; without it, a
component whose first gradient was near 0 makes one huge step.

Taniguchi et al., NeurIPS 2024, arXiv:2411.02853.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


def adopt(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    first = t == 1
    u = g / jnp.maximum(jnp.sqrt(s.velocity), h.epsilon)
    if h.clip:
        limit = (t - 1) ** 0.25
        u = jnp.clip(u, -limit, limit)
    m = jnp.where(first, s.momentum, s.momentum + (u - s.momentum) * (1 - h.beta_1))
    v = s.velocity + (jnp.square(g) - s.velocity) * jnp.where(first, 1, 1 - h.beta_2)
    return jnp.where(first, 0, -h.learning_rate * m), Slots(m, v)


class ADOPT(Optimizer):
    """Adam that converges whatever beta_2 is.

    The first step only measures: nothing moves.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the scaled gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: the least value of the root; 1e-6.
        clip: limit the scaled gradient to the fourth root of the number of steps before.

    When to use it: in place of Adam where small batches or a noisy gradient would need a
    tuned beta_2.

    >>> ADOPT(3e-4).beta_2
    0.9999

    Source: Taniguchi et al., NeurIPS 2024, arXiv:2411.02853; iShohei220/adopt,
    optax.contrib.adopt.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.9999,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.9999 is the usual choice.",
    )
    epsilon: float = hyper(
        default=1e-6, interval="(0, inf)", hint="A component without gradient is divided by it."
    )
    clip: bool = static(default=True)

    rule = staticmethod(adopt)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))
