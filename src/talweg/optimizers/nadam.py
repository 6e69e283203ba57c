"""Nadam: Adam with Nesterov's momentum, on a schedule of its own.

    u_t = b1 (1 - 0.96^t / 2),   U_t = u_1 u_2 … u_t
    m <- b1 m + (1 - b1) g,      v <- b2 v + (1 - b2) g²
    m^ = u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)
    v^ = v / (1 - b2^t)
    p <- p - rate m^ / (sqrt(v^) + eps)

Dozat, ICLR workshop 2016.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


class Shared(NamedTuple):
    u_product: Any


def nadam(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor; `h.u_product` is U_t."""
    u, u_next = _momentum(h.beta_1, t), _momentum(h.beta_1, t + 1)
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
    m_hat = u_next * m / (1 - h.u_product * u_next) + (1 - u) * g / (1 - h.u_product)
    v_hat = v / (1 - h.beta_2**t)
    return -m_hat * h.learning_rate / (jnp.sqrt(v_hat) + h.epsilon), Slots(m, v)


def _momentum(beta_1: jax.Array, t: jax.Array) -> jax.Array:
    return beta_1 * (1 - 0.5 * 0.96**t)


class Nadam(Optimizer):
    """Adam that looks ahead along its momentum.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root.

    When to use it: in place of Adam, at its rate: often a little faster where gradients are
    not noisy.

    >>> Nadam(3e-4).beta_2
    0.999

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
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

    rule = staticmethod(nadam)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        return Shared(jnp.ones((), params[0].dtype if params else jnp.float32))

    def advance(self, shared: Shared, h: Any, t: jax.Array) -> Shared:
        u_product = shared.u_product
        return Shared(u_product * _momentum(h.beta_1, t).astype(u_product.dtype))
