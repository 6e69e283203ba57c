"""MARS: Adam on gradients with less variance.

    c  = g + gamma b1 / (1 - b1) (g - g'),    c <- c / max(1, |c|)
    m <- b1 m + (1 - b1) c
    v <- b2 v + (1 - b2) c²
    p <- p - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

g' is the gradient of the last step, on its own batch: the approximate variant, which the
authors recommend, of one that computes it again on the present batch. It is 0 at the first
step. Tensors of less than two axes follow plain Adam, with betas of their own. The authors'
code does the same to convolution kernels, which a user of it flattens; here they count as
matrices.

Yuan, Liu, Wu, Zhou & Gu, ICML 2025, arXiv:2411.10438 (MARS-AdamW).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any
    previous_gradient: Any


def mars(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor; without a previous gradient, that of Adam."""
    if s.previous_gradient is None:
        rate, beta_1, beta_2 = h.learning_rate * h.adam_lr_ratio, h.adam_beta_1, h.adam_beta_2
        c = g
    else:
        rate, beta_1, beta_2 = h.learning_rate, h.beta_1, h.beta_2
        c = g + h.gamma * (beta_1 / (1 - beta_1)) * (g - s.previous_gradient)
        c = c / jnp.maximum(jnp.sqrt(jnp.sum(jnp.square(c))), 1)
    m = s.momentum + (c - s.momentum) * (1 - beta_1)
    v = s.velocity + (jnp.square(c) - s.velocity) * (1 - beta_2)
    root = jnp.sqrt(v / (1 - beta_2**t))
    update = -rate * (m / (1 - beta_1**t)) / (root + h.epsilon)
    return update, Slots(m, v, None if s.previous_gradient is None else g)


class MARS(Optimizer):
    """AdamW with variance reduction: each gradient is corrected by its change.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.003.
        beta_1: how slowly the mean of the corrected gradient forgets.
        beta_2: how slowly its mean square forgets.
        gamma: how strong the correction is; 0.025.
        epsilon: added to the corrected root; 1e-8.
        optimize_1d: correct the gradients of scalars and vectors, too.
        adam_beta_1: the beta_1 of scalars and vectors.
        adam_beta_2: their beta_2.
        adam_lr_ratio: their rate, in units of the rate.

    The authors decay scalars and vectors by 0.1, matrices not at all; here `weight_decay`
    holds for both and is off unless given.

    When to use it: pretraining of language models, with rates a few times AdamW's.

    >>> MARS(3e-3).gamma
    0.025

    Source: Yuan et al., arXiv:2411.10438; AGI-Arena/MARS.
    """

    learning_rate: Any = hyper(
        default=0.003, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.95,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.95 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.99,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.99 is the usual choice.",
    )
    gamma: float = hyper(default=0.025, interval="[0, inf)", hint="Usual: 0.025 to 0.05.")
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")
    optimize_1d: bool = static(default=False)
    adam_beta_1: float = hyper(default=0.9, interval="[0, 1)", hint="0.9 is the usual choice.")
    adam_beta_2: float = hyper(default=0.95, interval="[0, 1)", hint="0.95 is the usual choice.")
    adam_lr_ratio: float = hyper(default=1.0, interval="[0, inf)")

    rule = staticmethod(mars)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros if self.optimize_1d or p.ndim >= 2 else None)
