"""Ftrl: the weights that would have been best so far, with penalties that make zeros.

    n' = n + g²,   k = -learning_rate_power
    z <- z + g + 2 s p - (n'^k - n^k) / rate p,   n <- n'
    p <- (clip(z, -l1, l1) - z) / (n^k / rate + 2 l2 + beta / rate)

s is the shrinkage. |z| <= l1 gives a weight that is exactly 0. The sum z starts at 0 and not at
the first weights: they fade with the first steps, as the published algorithm starts at 0.

McMahan et al., KDD 2013, "Ad Click Prediction: a View from the Trenches"; as in Keras, the
paper's lambda_2 is `2 l2`. At rate 0, where z is not defined, and where no gradient came yet
(n = 0), nothing moves.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    accumulator: Any
    linear: Any


def ftrl(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    moving = h.learning_rate > 0
    rate = jnp.where(moving, h.learning_rate, 1)
    power, l1 = -h.learning_rate_power, h.l1_regularization_strength
    n = s.accumulator + jnp.square(g)
    root = n**power
    penalized = g + 2 * h.l2_shrinkage_regularization_strength * p
    z = s.linear + penalized - (root - s.accumulator**power) / rate * p
    curvature = root / rate + 2 * (h.l2_regularization_strength + h.beta / (2 * rate))
    best = (jnp.clip(z, -l1, l1) - z) / curvature
    update = jnp.where(moving & (curvature > 0), best - p, 0)
    return update, Slots(jnp.where(moving, n, s.accumulator), jnp.where(moving, z, s.linear))


class Ftrl(Optimizer):
    """Follow the regularized leader: sparse linear models, learned online.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        learning_rate_power: how the rate falls with the sum of squares, at most 0; -0.5
            is Adagrad's root, 0 a constant rate.
        initial_accumulator_value: where the sum of squares starts.
        l1_regularization_strength: the penalty that makes weights exactly 0.
        l2_regularization_strength: half of the paper's L2 penalty.
        l2_shrinkage_regularization_strength: an L2 penalty added to the loss.
        beta: added to the root in the paper's rate, `rate / (beta + sqrt(n))`.

    When to use it: shallow models with many sparse features, where most weights should be 0.

    >>> Ftrl(0.1, l1_regularization_strength=1e-3).learning_rate_power
    -0.5

    Source: McMahan et al., KDD 2013; keras.optimizers.Ftrl.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-3, 1e1), hint="Usual: 1e-2 to 1."
    )
    learning_rate_power: float = hyper(
        default=-0.5, interval="(-inf, 0]", hint="Above 0 the rate would grow; -0.5 is usual."
    )
    initial_accumulator_value: float = hyper(default=0.1, interval="[0, inf)")
    l1_regularization_strength: float = hyper(default=0.0, interval="[0, inf)")
    l2_regularization_strength: float = hyper(default=0.0, interval="[0, inf)")
    l2_shrinkage_regularization_strength: float = hyper(default=0.0, interval="[0, inf)")
    beta: float = hyper(default=0.0, interval="[0, inf)")

    rule = staticmethod(ftrl)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.full_like(p, h.initial_accumulator_value), jnp.zeros_like(p))
