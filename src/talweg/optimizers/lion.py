"""Lion: steps of one size, along the sign of the momentum and the gradient mixed.

    p <- p - rate sign(b1 m + (1 - b1) g)
    m <- b2 m + (1 - b2) g

The step uses the momentum from before this gradient, and forgets faster than the momentum.

Chen et al., NeurIPS 2023, arXiv:2302.06675.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any


def lion(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    direction = jnp.sign(h.beta_1 * s.momentum + (1 - h.beta_1) * g)
    return -h.learning_rate * direction, Slots(h.beta_2 * s.momentum + (1 - h.beta_2) * g)


class Lion(Optimizer):
    """Evolved sign momentum: half the memory of Adam, steps of one size.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001, as in Keras. The
            paper uses 1e-4, a third to a tenth of AdamW's rate.
        beta_1: how much of the momentum is in the step.
        beta_2: how slowly the momentum forgets.

    When to use it: large batches and little memory, with a weight decay 3 to 10 times
    AdamW's.

    >>> Lion(1e-4, weight_decay=0.1).beta_2
    0.99

    Source: Chen et al., NeurIPS 2023, arXiv:2302.06675; github.com/google/automl/tree/master/lion,
    keras.optimizers.Lion.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-5 to 1e-3."
    )
    beta_1: float = hyper(
        default=0.9, interval="(0, 1]", hint="At 0 it is the sign of the gradient; 0.9 is usual."
    )
    beta_2: float = hyper(
        default=0.99, interval="[0, 1)", hint="At 1 the momentum never moves; 0.99 is usual."
    )

    rule = staticmethod(lion)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p))
