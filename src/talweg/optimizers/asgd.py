"""ASGD: gradient descent, evaluated at the average of its path.

    eta = rate / (1 + lambd rate (t - 1))^alpha
    p <- p - eta (g + lambd p)
    a <- a + (p - a) / max(1, t - 1 - t0)

The average a is p itself until step t0 + 2. It is a that is evaluated.

Polyak & Juditsky, SIAM J. Control and Optimization 30(4), 1992; with the rates of Bottou,
"Stochastic Gradient Descent Tricks", 2012, and Xu, arXiv:1107.2490.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    average: Any
    # The weights after the last step: the average leads back to them.
    last: Any


def asgd(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    eta = h.learning_rate / (1 + h.lambd * h.learning_rate * (t - 1)) ** h.alpha
    update = -eta * (g + h.lambd * p)
    new = p + update
    count = t - 1 - h.t0
    average = jnp.where(count > 1, s.average + (new - s.average) / jnp.maximum(count, 1), new)
    return update, Slots(average, new)


class ASGD(Optimizer):
    """Averaged gradient descent: trained by SGD, evaluated at the mean of its weights.

    `fit` puts the averages into the model at the end of each epoch, and takes up the
    trained weights again for the next.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.01.
        lambd: the decay of weights and rate; 1e-4.
        alpha: the power of the decay of the rate; 0.75.
        t0: after how many steps to start averaging; 1e6. Set it within the training:
            until then this is SGD.

    When to use it: convex and nearly convex problems with a noisy gradient, t0 at one or a
    few epochs.

    >>> ASGD(0.01, t0=1000).alpha
    0.75

    Source: Polyak & Juditsky, 1992; torch.optim.ASGD.
    """

    learning_rate: Any = hyper(
        default=0.01, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1."
    )
    lambd: float = hyper(default=1e-4, interval="[0, inf)")
    alpha: float = hyper(default=0.75, interval="[0, inf)", hint="0.75 is the usual choice.")
    t0: float = hyper(default=1e6, interval="[0, inf)", hint="Usual: one epoch.")

    rule = staticmethod(asgd)
    trains_elsewhere = True

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        # Copies: a slot must not share the buffer of a weight that a step may reuse.
        return Slots(p.copy(), p.copy())

    def evaluated(self, p: jax.Array, s: Slots, h: Any) -> jax.Array:
        """The average of the weights, moved along if they were changed since the last step."""
        return jnp.where(p == s.last, s.average, p + (s.average - s.last))

    def trained(self, x: jax.Array, s: Slots, h: Any) -> jax.Array:
        """The weights of the last step, moved along if their average was changed."""
        return jnp.where(x == s.average, s.last, x + (s.last - s.average))
