"""Adan: Nesterov's momentum from the differences of gradients.

    d  = g - g'                           g' the last gradient; 0 at the first step
    m <- b1 m + (1 - b1) g,               v <- b2 v + (1 - b2) d
    n <- b3 n + (1 - b3) (g + b2 d)²
    p <- p - rate (m^ + b2 v^) / (sqrt(n^) + eps)

where m^, v^, n^ are corrected for their start at 0: x^ = x / (1 - b^t).

The betas are those of the authors' code, 1 minus those of the paper's Algorithm 1. optax
takes the code's betas and the paper's factor, 1 - b2 = 0.08 in place of 0.92, and so has
next to no look-ahead; this follows the authors. Their weight decay divides by
1 + rate wd after the step; here it multiplies by 1 - rate wd before it.

Xie, Zhou, Li, Lin & Yan, IEEE TPAMI 2024, arXiv:2208.06677.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    momentum_difference: Any
    velocity: Any
    previous_gradient: Any


def adan(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    d = jnp.where(t == 1, 0, g - s.previous_gradient)
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.momentum_difference + (d - s.momentum_difference) * (1 - h.beta_2)
    n = s.velocity + (jnp.square(g + h.beta_2 * d) - s.velocity) * (1 - h.beta_3)
    ahead = m / (1 - h.beta_1**t) + h.beta_2 * v / (1 - h.beta_2**t)
    root = jnp.sqrt(n / (1 - h.beta_3**t))
    return -h.learning_rate * ahead / (root + h.epsilon), Slots(m, v, n, g)


class Adan(Optimizer):
    """Adam with Nesterov's look-ahead, estimated without a second gradient.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean of its differences forgets, and how far to look ahead.
        beta_3: how slowly the mean square forgets.
        epsilon: added to the corrected root; 1e-8.

    When to use it: large batches and vision transformers, with rates 5 to 10 times Adam's;
    it keeps four arrays for each tensor.

    >>> Adan(0.01).beta_2
    0.92

    Source: Xie et al., arXiv:2208.06677; sail-sg/Adan.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 2e-2."
    )
    beta_1: float = hyper(
        default=0.98,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.98 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.92,
        interval="[0, 1)",
        hint="At 1.0 the mean difference never moves; 0.92 is the usual choice.",
    )
    beta_3: float = hyper(
        default=0.99,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.99 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")

    rule = staticmethod(adan)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros, zeros)
