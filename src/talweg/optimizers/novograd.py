"""NovoGrad: momentum of gradients that are divided by the norm of their tensor.

    first step    v = |g|²
    then          v <- b2 v + (1 - b2) |g|²
    m <- b1 m + g / (sqrt(v) + eps)
    p <- p - rate m

One number v for each tensor. The momentum is a sum, not a mean: with b1 = 0.95 the steps
are 20 times as long as one normalized gradient. The paper adds weight decay to the
normalized gradient, inside the momentum; here it is applied to p before the step.

Ginsburg et al., 2019, arXiv:1905.11286.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


def novograd(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor; its second moment is a scalar."""
    square = jnp.sum(jnp.square(g))
    v = s.velocity + (square - s.velocity) * jnp.where(t == 1, 1, 1 - h.beta_2)
    m = h.beta_1 * s.momentum + g / (jnp.sqrt(v) + h.epsilon)
    return -h.learning_rate * m, Slots(m, v)


class NovoGrad(Optimizer):
    """SGD with momentum on gradients of norm one, layer by layer.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.01.
        beta_1: how much of the last update is kept.
        beta_2: how slowly the squared norm of the gradient forgets.
        epsilon: added to the norm; 1e-8.

    When to use it: speech and image networks with large batches; it keeps half of Adam's
    state.

    >>> NovoGrad(0.01).beta_1
    0.95

    Source: Ginsburg et al., 2019, arXiv:1905.11286; optax.novograd, whose defaults are
    (0.9, 0.25) and 1e-6.
    """

    learning_rate: Any = hyper(
        default=0.01, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-1."
    )
    beta_1: float = hyper(
        default=0.95, interval="[0, 1)", hint="At 1.0 the momentum only grows; 0.95 is usual."
    )
    beta_2: float = hyper(
        default=0.98,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.98 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")

    rule = staticmethod(novograd)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros((), p.dtype))
