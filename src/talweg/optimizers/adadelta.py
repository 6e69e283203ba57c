"""Adadelta: steps in the units of the parameter, from the size of the steps before.

    a <- rho a + (1 - rho) g²
    d  = sqrt(x + eps) / sqrt(a + eps) g
    x <- rho x + (1 - rho) d²
    p <- p - rate d

Zeiler, 2012, arXiv:1212.5701, where the rate is 1. The first steps are of size sqrt(eps):
a larger epsilon starts faster.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    accumulated_grad: Any
    accumulated_delta_var: Any


def adadelta(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    a = h.rho * s.accumulated_grad + (1 - h.rho) * jnp.square(g)
    d = jnp.sqrt(s.accumulated_delta_var + h.epsilon) / jnp.sqrt(a + h.epsilon) * g
    x = h.rho * s.accumulated_delta_var + (1 - h.rho) * jnp.square(d)
    return -h.learning_rate * d, Slots(a, x)


class Adadelta(Optimizer):
    """Adagrad with a window, and steps that find their own size.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001, as in Keras. The
            paper has 1.0, and most problems need it.
        rho: how slowly the two mean squares forget.
        epsilon: added under both roots; the square of the size of the first steps.

    When to use it: to reproduce older results; where no rate is known, at rate 1.

    >>> Adadelta(1.0).rho
    0.95

    Source: Zeiler, 2012, arXiv:1212.5701; keras.optimizers.Adadelta.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-1, 1e2), hint="The paper has 1.0."
    )
    rho: float = hyper(
        default=0.95, interval="[0, 1)", hint="At 1 the mean squares never move; 0.95 is usual."
    )
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")

    rule = staticmethod(adadelta)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))
