"""Yogi: Adam whose mean square moves by a bounded amount.

    m <- b1 m + (1 - b1) g
    v <- v - (1 - b2) sign(v - g²) g²
    p <- p - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

Where the gradient becomes small, Adam's v falls in proportion to itself, and the rate rises
fast; here it falls by at most (1 - b2) g².

The paper corrects no bias; this follows optax, with epsilon on the corrected root. v starts
at 1e-6. optax lets m start there, too, a slip; here m starts at 0.

Zaheer, Reddi, Sachan, Kale & Kumar, NeurIPS 2018.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


def yogi(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    square = jnp.square(g)
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.velocity - (1 - h.beta_2) * jnp.sign(s.velocity - square) * square
    root = jnp.sqrt(v / (1 - h.beta_2**t))
    return -h.learning_rate * (m / (1 - h.beta_1**t)) / (root + h.epsilon), Slots(m, v)


class Yogi(Optimizer):
    """Adam whose effective rate rises slowly.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.01.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square moves.
        epsilon: added to the corrected root; 1e-3: large, so that it bounds the rate.
        initial_accumulator_value: the mean square before the first step.

    When to use it: sparse gradients and federated training, with about ten times Adam's
    rate.

    >>> Yogi(0.01).epsilon
    0.001

    Source: Zaheer et al., "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018;
    optax.yogi.
    """

    learning_rate: Any = hyper(
        default=0.01, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-1."
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
    epsilon: float = hyper(default=1e-3, interval="[0, inf)")
    initial_accumulator_value: float = hyper(default=1e-6, interval="[0, inf)")

    rule = staticmethod(yogi)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        start = h.initial_accumulator_value.astype(p.dtype)
        return Slots(jnp.zeros_like(p), jnp.full_like(p, start))
