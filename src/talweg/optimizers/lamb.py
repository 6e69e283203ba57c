"""Lamb: a step of Adam, as long for each tensor as the tensor itself.

    m <- b1 m + (1 - b1) g,      v <- b2 v + (1 - b2) g²
    d  = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
    p <- p - rate |p| / |d| d

The ratio is 1 where either norm is 0. You et al., ICLR 2020, arXiv:1904.00962. The paper adds
weight decay to d, before the norms; here, as in Keras, it is applied to p before the step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


def lamb(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
    d = m / (1 - h.beta_1**t) / (jnp.sqrt(v / (1 - h.beta_2**t)) + h.epsilon)
    size, length = jnp.sqrt(jnp.sum(jnp.square(p))), jnp.sqrt(jnp.sum(jnp.square(d)))
    ratio = jnp.where((size > 0) & (length > 0), size / length, 1)
    return -h.learning_rate * ratio * d, Slots(m, v)


class Lamb(Optimizer):
    """Adam with a rate for each layer, in proportion to the norm of its weights.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001. The share of its
            norm that each tensor moves.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root; the paper has 1e-6.

    When to use it: batches of thousands, with a rate that grows as their square root.

    >>> Lamb(2e-3).beta_2
    0.999

    Source: You et al., ICLR 2020, arXiv:1904.00962; keras.optimizers.Lamb.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1e-1), hint="Usual: 1e-3 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.999,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.999 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")

    rule = staticmethod(lamb)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))
