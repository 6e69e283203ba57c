"""RMSprop: steps divided by a running root mean square of the gradient.

    v <- rho v + (1 - rho) g²
    a <- rho a + (1 - rho) g             centered only; then v - a² in place of v
    d  = rate g / sqrt(v + eps)
    m <- mu m + d,  p <- p - m           with momentum; else p <- p - d

Tieleman & Hinton, Coursera lecture 6.5, 2012.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    velocity: Any
    momentum: Any
    average_gradient: Any


def rmsprop(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    v = h.rho * s.velocity + (1 - h.rho) * jnp.square(g)
    a, m = s.average_gradient, s.momentum
    spread = v
    if a is not None:
        a = h.rho * a + (1 - h.rho) * g
        spread = v - jnp.square(a)
    step = h.learning_rate * g / jnp.sqrt(spread + h.epsilon)
    if m is not None:
        step = m = h.momentum * m + step
    return -step, Slots(v, m, a)


class RMSprop(Optimizer):
    """Gradient descent with steps scaled by the recent size of the gradient.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        rho: how slowly the mean square forgets.
        momentum: how much of the last update is kept.
        epsilon: added under the root.
        centered: divide by the variance in place of the mean square.

    When to use it: recurrent networks and reinforcement learning, whose gradients change
    much in size. Adam adds momentum and a corrected start.

    >>> RMSprop().rho
    0.9

    Source: Tieleman & Hinton, Coursera lecture 6.5, 2012; centered: Graves,
    arXiv:1308.0850.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    rho: float = hyper(
        default=0.9, interval="[0, 1)", hint="At 1 the mean square never moves; 0.9 is usual."
    )
    momentum: float = hyper(
        default=0.0, interval="[0, 1]", off_at_zero=True, hint="0.9 is the usual choice."
    )
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")
    centered: bool = static(default=False)

    rule = staticmethod(rmsprop)
    trailing_slots = ("momentum", "average_gradient")

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        momentum = zeros if self.uses("momentum") else None
        return Slots(zeros, momentum, zeros if self.centered else None)
