"""Adam: steps scaled by running moments of the gradient.

    m <- b1 m + (1 - b1) g
    v <- b2 v + (1 - b2) g²
    p <- p - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)

Kingma & Ba, ICLR 2015, arXiv:1412.6980, in the form at the end of its section 2, where
epsilon stands outside the corrected root. AMSGrad (Reddi, Kale & Kumar, ICLR 2018,
arXiv:1904.09237) divides by the largest v so far.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any
    velocity_hat: Any


def adam(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
    largest = None if s.velocity_hat is None else jnp.maximum(s.velocity_hat, v)
    rate = h.learning_rate * jnp.sqrt(1 - h.beta_2**t) / (1 - h.beta_1**t)
    root = jnp.sqrt(v if largest is None else largest)
    return -m * rate / (root + h.epsilon), Slots(m, v, largest)


class Adam(Optimizer):
    """Adaptive moments: momentum, with each component scaled by its recent size.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root.
        amsgrad: divide by the largest mean square so far.

    When to use it: the first choice for most networks; with weight decay, `AdamW`.

    >>> Adam(3e-4).beta_2
    0.999

    Source: Kingma & Ba, ICLR 2015, arXiv:1412.6980.
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
    amsgrad: bool = static(default=False)

    rule = staticmethod(adam)
    trailing_slots = ("velocity_hat",)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros if self.amsgrad else None)
