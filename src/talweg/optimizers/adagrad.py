"""Adagrad: each component's rate falls with all the gradient it has seen.

    a <- a + g²
    p <- p - rate g / sqrt(a + eps)

Duchi, Hazan & Singer, JMLR 12, 2011.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    accumulator: Any


def adagrad(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    a = s.accumulator + jnp.square(g)
    return -h.learning_rate * g / jnp.sqrt(a + h.epsilon), Slots(a)


class Adagrad(Optimizer):
    """Gradient descent for sparse features: rare components keep a large rate.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        initial_accumulator_value: where the sum of squares starts.
        epsilon: added under the root.

    When to use it: sparse features, and convex problems; its rate only falls, which stops
    long trainings of deep networks.

    >>> Adagrad(0.1).initial_accumulator_value
    0.1

    Source: Duchi, Hazan & Singer, JMLR 12, 2011.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-1."
    )
    initial_accumulator_value: float = hyper(default=0.1, interval="[0, inf)")
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")

    rule = staticmethod(adagrad)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.full_like(p, h.initial_accumulator_value))
