"""LARS: momentum, with steps in proportion to the norm of each tensor.

    u  = rate trust |p| / (|g| + eps) g
    m <- mu m + u
    p <- p - m                      or, by Nesterov, p - (mu m + u)

The ratio trust |p| / |g| is 1 where either norm is 0. The paper adds weight decay to g and
its norm; here it is applied to p before the step, and the ratio knows nothing of it.

You, Gitman & Ginsburg, 2017, arXiv:1708.03888.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any


def lars(g: jax.Array, p: jax.Array, s: Any, h: Any, t: jax.Array) -> tuple[jax.Array, Any]:
    """The update of one tensor."""
    size, slope = jnp.sqrt(jnp.sum(jnp.square(p))), jnp.sqrt(jnp.sum(jnp.square(g)))
    moves = (size > 0) & (slope > 0)
    ratio = jnp.where(moves, h.trust_coefficient * size / (slope + h.epsilon), 1)
    u = h.learning_rate * ratio * g
    if s == ():
        return -u, s
    m = h.momentum * s.momentum + u
    return -(h.momentum * m + u if h.nesterov else m), Slots(m)


class LARS(Optimizer):
    """SGD whose step is a fixed share of each layer's norm.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 1.0. At rate 1 a gradient
            moves a tensor by `trust_coefficient` of its norm.
        momentum: how much of the last update is kept.
        trust_coefficient: the share of its norm that a tensor moves; 0.001.
        epsilon: added to the norm of the gradient.
        nesterov: look ahead along the momentum.

    When to use it: convolutional networks with batches of thousands, with a warm-up; leave
    biases and normalization to another optimizer.

    >>> LARS(4.0).momentum
    0.9

    Source: You, Gitman & Ginsburg, 2017, arXiv:1708.03888; optax.lars.
    """

    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(1e-2, 1e2), hint="Usual: 0.1 to 30."
    )
    momentum: float = hyper(
        default=0.9, interval="[0, 1]", off_at_zero=True, hint="0.9 is the usual choice."
    )
    trust_coefficient: float = hyper(default=0.001, interval="(0, inf)")
    epsilon: float = hyper(default=0.0, interval="[0, inf)")
    nesterov: bool = static(default=False)

    rule = staticmethod(lars)

    def init_slots(self, p: jax.Array, h: Any) -> Any:
        return Slots(jnp.zeros_like(p)) if self.uses("momentum") else ()
