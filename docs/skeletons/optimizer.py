"""Signum: steps of one size, along the sign of the momentum.

    m <- b m + (1 - b) g
    p <- p - rate sign(m)

Bernstein et al., ICML 2018, arXiv:1802.04434.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers import Optimizer


class Slots(NamedTuple):
    momentum: Any


def signum(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor: what to add to `p`, and its slots.

    `h` holds the hyperparameters by name and the path of the tensor, `h.name`; `t` is the
    number of the step, from 1. Weight decay, clipping and averages are no part of a rule.
    """
    m = h.beta * s.momentum + (1 - h.beta) * g
    return -h.learning_rate * jnp.sign(m), Slots(m)


class Signum(Optimizer):
    """Sign descent with momentum: only the direction of each component counts.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta: how slowly the mean of the gradient forgets.

    When to use it: large batches, and gradients that are sent over a network.

    >>> Signum(0.01).beta
    0.9

    Source: Bernstein et al., ICML 2018, arXiv:1802.04434.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    beta: float = hyper(
        default=0.9, interval="[0, 1)", hint="At 1.0 the mean never moves; 0.9 is usual."
    )

    rule = staticmethod(signum)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p))
