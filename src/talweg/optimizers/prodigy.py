"""Prodigy: Adam that finds its rate, by an estimate d of the distance to the solution.

    D  = d rate c,   c = 1, or sqrt(1 - b2^t) / (1 - b1^t) with bias correction
    r <- b3 r + (d / d0) D <g, p_0 - p>
    s <- b3 s + (d / d0) D g
    m <- b1 m + (1 - b1) d g
    v <- b2 v + (1 - b2) d² g²
    d <- max(d, coef r / |s|_1)
    p <- p - D m / (sqrt(v) + d eps)

D is of the old d, the last two lines of the new one; the sums run over all tensors.
Mishchenko & Defazio, ICML 2024, arXiv:2306.06101, algorithm 4. A tensor at the share q of
the common rate is stepped as if it were written p = q p': its part of |s|_1 counts q times.
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
    start: Any


class Shared(NamedTuple):
    distance: Any
    first_distance: Any
    largest_distance: Any
    numerator: Any


class Prodigy(Optimizer):
    """Adam without a rate to tune: leave it at 1 and give it a schedule if you like.

    When to use it: where there is no time to tune the rate; with a schedule, let 1 be its
    maximum.

    Args:
        learning_rate: a factor on the estimated rate; 1.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        beta_3: how slowly the estimate forgets; None is the square root of `beta_2`.
        epsilon: added to the root, times d.
        d0: the first estimate, smaller than the true distance; read when the state is made.
        d_coef: a factor on the estimate; the way to tune the method, 0.5 to 2.
        growth_rate: d grows at most by this factor a step; None leaves it free.
        use_bias_correction: correct the moments for their start at zero, as Adam does.
        safeguard_warmup: leave the rate out of the denominator, for a long warm-up.

    Weight decay is decoupled and follows the rate that was found: `p -= p weight_decay D`.

    >>> Prodigy().learning_rate.value.item()
    1.0

    Source: Mishchenko & Defazio, ICML 2024, arXiv:2306.06101; konstmish/prodigy. In
    optax.contrib, bias correction is on.
    """

    decays_itself = True

    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(0.1, 10.0), hint="Usual: 1."
    )
    beta_1: float = hyper(default=0.9, interval="[0, 1)", hint="0.9 is the usual choice.")
    beta_2: float = hyper(default=0.999, interval="[0, 1)", hint="0.999 is the usual choice.")
    beta_3: float | None = hyper(default=None, interval="[0, 1)")
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")
    d0: float = hyper(default=1e-6, interval="(0, inf)", hint="1e-6 is the usual choice.")
    d_coef: float = hyper(default=1.0, interval="(0, inf)", hint="Usual: 0.5 to 2.")
    growth_rate: float | None = hyper(default=None, interval="(0, inf)", hint="Above 1: 1.02.")
    use_bias_correction: bool = static(default=False)
    safeguard_warmup: bool = static(default=False)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros, zeros, p.copy())

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        dtype = jnp.result_type(jnp.float32, *(p.dtype for p in params))
        d = h.d0.astype(dtype)
        bounded = None if self.growth_rate is None else d
        return Shared(d, d, bounded, jnp.zeros((), dtype))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Estimate the distance from all tensors, then step each with it."""
        d = shared.distance
        rate, shares = common_rate(h.rates)
        step = d * rate
        if self.use_bias_correction:
            power = t.astype(d.dtype)
            step = step * jnp.sqrt(1 - h.beta_2.astype(d.dtype) ** power)
            step = step / (1 - h.beta_1.astype(d.dtype) ** power)
        beta_3 = jnp.sqrt(h.beta_2) if self.beta_3 is None else h.beta_3
        weight = d / shared.first_distance
        weight_s = weight * (d if self.safeguard_warmup else step)

        numerator = beta_3 * shared.numerator
        denominator = jnp.zeros_like(numerator)
        kept: list[Slots] = []
        for g, p, s, share in zip(grads, params, slots, shares, strict=True):
            numerator += weight * step * jnp.sum(g * (s.start - p))
            total = beta_3 * s.gradient_sum + weight_s.astype(p.dtype) * g
            denominator += share * jnp.sum(jnp.abs(total))
            scaled = d.astype(p.dtype) * g
            m = s.momentum + (scaled - s.momentum) * (1 - h.beta_1)
            v = s.velocity + (jnp.square(scaled) - s.velocity) * (1 - h.beta_2)
            kept.append(Slots(m, v, total, s.start))
        found = h.d_coef * numerator / jnp.where(denominator > 0, denominator, 1)
        found = jnp.where((denominator > 0) & (rate > 0), found, d)
        shared = self._grown(shared, found, h)._replace(numerator=numerator)

        new: list[Any] = []
        for p, s, share, decay in zip(params, kept, shares, h.decays, strict=True):
            own = (step * share).astype(p.dtype)
            root = jnp.sqrt(s.velocity) + shared.distance.astype(p.dtype) * h.epsilon
            # 0 / 0 where no gradient ever came and epsilon is 0 or too small for the type.
            update = jnp.where(root > 0, s.momentum / jnp.where(root > 0, root, 1), 0)
            new.append(p - own * (update if decay is None else update + decay * p))
        return new, kept, shared

    def _grown(self, shared: Shared, found: jax.Array, h: Any) -> Shared:
        """The estimate of this step; its first growth is not bounded."""
        d = shared.distance
        if shared.largest_distance is None:
            return shared._replace(distance=jnp.maximum(d, found))
        largest = jnp.maximum(shared.largest_distance, found)
        d = jnp.where(d == shared.first_distance, jnp.maximum(d, found), d)
        d = jnp.maximum(d, jnp.minimum(largest, d * h.growth_rate))
        return shared._replace(distance=d, largest_distance=largest)
