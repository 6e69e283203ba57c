"""AdEMAMix: Adam with a second, much slower mean of the gradient.

    m <- b1 m + (1 - b1) g,    s <- b3(t) s + (1 - b3(t)) g
    v <- b2 v + (1 - b2) g²
    p <- p - rate (m / (1 - b1^t) + alpha(t) s) / (sqrt(v / (1 - b2^t)) + eps)

The slow mean s is not corrected for its start at 0. With warm-up over T steps, and
a = min(t / T, 1),

    alpha(t) = a alpha
    1 / ln b3(t) = (1 - a) / ln b1 + a / ln b3

so that the half-life of the slow mean grows linearly from that of the fast one.

Pagliardini, Ablin & Grangier, ICLR 2025, arXiv:2409.03137.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    slow_momentum: Any
    velocity: Any


def ademamix(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    alpha, forgotten = h.alpha, 1 - h.beta_3
    if hasattr(h, "alpha_warmup"):
        alpha = alpha * jnp.minimum(t / h.alpha_warmup, 1)
    if hasattr(h, "beta_3_warmup"):
        forgotten = _warmed(h.beta_1, h.beta_3, jnp.minimum(t / h.beta_3_warmup, 1))
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    slow = s.slow_momentum + (g - s.slow_momentum) * forgotten
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
    mixed = m / (1 - h.beta_1**t) + alpha * slow
    root = jnp.sqrt(v / (1 - h.beta_2**t))
    return -h.learning_rate * mixed / (root + h.epsilon), Slots(m, slow, v)


def _warmed(first: jax.Array, last: jax.Array, a: jax.Array) -> jax.Array:
    """1 - b3(t). Near 1, float32 holds the complement far better than the beta."""
    inverse = (1 - a) / jnp.log1p(first - 1) + a / jnp.log1p(last - 1)
    return -jnp.expm1(1 / inverse)


class AdEMAMix(Optimizer):
    """Adam that also remembers gradients of ten thousand steps ago.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the fast mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        beta_3: how slowly the slow mean of the gradient forgets; 0.999 for short trainings.
        alpha: the weight of the slow mean beside the fast one; usual: 4 to 10.
        alpha_warmup: over how many steps alpha grows from 0; None: it is there at once.
        beta_3_warmup: over how many steps beta_3 grows from beta_1; None: it is there at
            once. Both are usually the length of the training, and needed for stability in
            long ones.
        epsilon: added to the corrected root; 1e-8.

    When to use it: long pretraining, where it needs about half of AdamW's tokens; not where
    the data change under way.

    >>> AdEMAMix(1e-3, alpha_warmup=10_000, beta_3_warmup=10_000).beta_3
    0.9999

    Source: Pagliardini, Ablin & Grangier, arXiv:2409.03137; apple/ml-ademamix,
    optax.contrib.ademamix.
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
    beta_3: float = hyper(
        default=0.9999,
        interval="[0, 1)",
        hint="At 1.0 the slow mean never moves; 0.9999 is the usual choice.",
    )
    alpha: float = hyper(default=5.0, interval="[0, inf)", hint="Usual: 4 to 10.")
    alpha_warmup: float | None = hyper(
        default=None, interval="(0, inf)", hint="Usual: the steps of the training."
    )
    beta_3_warmup: float | None = hyper(
        default=None, interval="(0, inf)", hint="Usual: the steps of the training."
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")

    rule = staticmethod(ademamix)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros)
