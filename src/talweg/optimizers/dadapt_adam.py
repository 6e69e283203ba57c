"""D-Adapted Adam: Adam whose rate comes from a lower bound d of the distance.

    D  = d rate c,   c = 1, or sqrt(1 - b2^t) / (1 - b1^t) with bias correction
    r <- k r + (1 - k) D <g, s / (sqrt(v) + eps)>,   k = sqrt(b2)
    m <- b1 m + (1 - b1) D g
    v <- b2 v + (1 - b2) g²
    s <- k s + (1 - k) D g
    d <- max(d, r / ((1 - k) |s|_1))
    p <- p - m / (sqrt(v) + eps)

The sums run over all tensors. Defazio & Mishchenko, ICML 2023, arXiv:2301.07733,
algorithm 5. A tensor at the share q of the common rate is stepped as if it were written
p = q p', which is the `layer_scale` of the reference.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.rates import common_rate


class Slots(NamedTuple):
    momentum: Any
    velocity: Any
    gradient_sum: Any


class Shared(NamedTuple):
    distance: Any
    numerator: Any


class DAdaptAdam(Optimizer):
    """Adam without a rate to tune: leave it at 1; Prodigy is its faster successor.

    When to use it: where there is no time to tune the rate and Prodigy's estimate grows too
    large.

    Args:
        learning_rate: a factor on the estimated rate; 1.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root.
        d0: the first estimate, smaller than the true distance; read when the state is made.
        growth_rate: d grows at most by this factor a step; None leaves it free.
        use_bias_correction: correct the moments for their start at zero, as Adam does.

    Weight decay is decoupled and follows the rate that was found: `p -= p weight_decay D`.

    >>> DAdaptAdam().beta_2
    0.999

    Source: Defazio & Mishchenko, ICML 2023, arXiv:2301.07733; facebookresearch/dadaptation.
    In optax.contrib (`dadapt_adamw`), bias correction is on.
    """

    decays_itself = True

    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(0.1, 10.0), hint="Usual: 1."
    )
    beta_1: float = hyper(default=0.9, interval="[0, 1)", hint="0.9 is the usual choice.")
    beta_2: float = hyper(default=0.999, interval="[0, 1)", hint="0.999 is the usual choice.")
    epsilon: float = hyper(default=1e-8, interval="(0, inf)")
    d0: float = hyper(default=1e-6, interval="(0, inf)", hint="1e-6 is the usual choice.")
    growth_rate: float | None = hyper(default=None, interval="(0, inf)", hint="Above 1: 1.02.")
    use_bias_correction: bool = static(default=False)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros)

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        dtype = jnp.result_type(jnp.float32, *(p.dtype for p in params))
        return Shared(h.d0.astype(dtype), jnp.zeros((), dtype))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Estimate the distance from all tensors, then step each."""
        d = shared.distance
        rate, shares = common_rate(h.rates)
        step = d * rate
        if self.use_bias_correction:
            power = t.astype(d.dtype)
            step = step * jnp.sqrt(1 - h.beta_2.astype(d.dtype) ** power)
            step = step / (1 - h.beta_1.astype(d.dtype) ** power)
        keep = jnp.sqrt(h.beta_2)

        product, size = jnp.zeros_like(d), jnp.zeros_like(d)
        new: list[Any] = []
        kept: list[Slots] = []
        for g, p, s, share, decay in zip(grads, params, slots, shares, h.decays, strict=True):
            product += (
                step * share * jnp.sum(g * s.gradient_sum / (jnp.sqrt(s.velocity) + h.epsilon))
            )
            own = (step * share).astype(p.dtype)
            m = s.momentum + (own * g - s.momentum) * (1 - h.beta_1)
            v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
            total = s.gradient_sum + (step.astype(p.dtype) * g - s.gradient_sum) * (1 - keep)
            size += share * jnp.sum(jnp.abs(total))
            update = m / (jnp.sqrt(v) + h.epsilon)
            new.append(p - (update if decay is None else update + own * decay * p))
            kept.append(Slots(m, v, total))
        numerator = keep * shared.numerator + (1 - keep) * product
        size = (1 - keep) * size
        found = numerator / jnp.where(size > 0, size, 1)
        found = jnp.where((size > 0) & (rate > 0), found, d)
        if self.growth_rate is not None:
            found = jnp.minimum(found, d * h.growth_rate)
        return new, kept, Shared(jnp.maximum(d, found), numerator)
