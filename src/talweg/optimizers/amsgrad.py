"""AMSGrad: Adam that divides by the largest mean square so far.

    m <- b1 m + (1 - b1) g
    v <- b2 v + (1 - b2) g²,   w <- max(w, v)
    p <- p - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(w) + eps)

The rate of a component can only fall, which is what Adam's proof of convergence lacks. The
paper corrects no bias. As in Keras and PyTorch the correction is applied here, to the
largest v; optax corrects v before the maximum, which lets the first steps rule for long.

Reddi, Kale & Kumar, ICLR 2018, arXiv:1904.09237.
"""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.adam import Slots, adam
from talweg.optimizers.base import Optimizer


class AMSGrad(Optimizer):
    """Adam whose divisor never shrinks: `Adam(amsgrad=True)` by its own name.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root of the largest mean square; 1e-8.

    When to use it: where Adam keeps wandering late in the training, because rare, large
    gradients are forgotten.

    >>> AMSGrad(3e-4).beta_2
    0.999

    Source: Reddi, Kale & Kumar, ICLR 2018, arXiv:1904.09237; optax.amsgrad without its
    corrections.
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
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")

    rule = staticmethod(adam)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros)
