"""D-Adapted SGD: descent whose rate comes from an estimate d of the distance to go.

    G  = |g| of the first step,   D = d rate / G
    r <- r + D <g, s>
    s <- s + D g
    d <- max(d, 2 r / |s|)
    z <- z - D g
    p <- mu p + (1 - mu) z

The sums and norms run over all tensors. Defazio & Mishchenko, ICML 2023, arXiv:2301.07733,
algorithm 4; the estimate is that of the authors' code, twice the lower bound of the paper.
Kept is z - p in place of z: momentum in its averaging form. A tensor at the share q of the
common rate is stepped as if it were written p = sqrt(q) p'.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer
from talweg.optimizers.rates import common_rate


class Slots(NamedTuple):
    gradient_sum: Any
    momentum: Any


class Shared(NamedTuple):
    distance: Any
    numerator: Any
    first_norm: Any


class DAdaptSGD(Optimizer):
    """Gradient descent without a rate to tune: leave it at 1.

    When to use it: on convex problems, or where SGD does well and there is no time to tune
    its rate; on badly scaled ones lower the factor, or it diverges.

    Args:
        learning_rate: a factor on the estimated rate; 1.
        momentum: how much of the last update is kept, in [0, 1).
        d0: the first estimate, smaller than the true distance; read when the state is made.
        growth_rate: d grows at most by this factor a step; None leaves it free.

    Weight decay is decoupled and follows the rate that was found, `p -= p weight_decay D`;
    the reference adds it to the gradient.

    >>> DAdaptSGD(momentum=0.9).momentum
    0.9

    Source: Defazio & Mishchenko, ICML 2023, arXiv:2301.07733; facebookresearch/dadaptation.
    """

    decays_itself = True

    # The estimate grows until steps are as long as the way: too long in a bent valley.
    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(0.02, 0.56), hint="Usual: 1."
    )
    momentum: float = hyper(
        default=0.0, interval="[0, 1)", off_at_zero=True, hint="0.9 is the usual choice."
    )
    d0: float = hyper(default=1e-6, interval="(0, inf)", hint="1e-6 is the usual choice.")
    growth_rate: float | None = hyper(default=None, interval="(0, inf)", hint="Above 1: 1.02.")

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros if self.momentum else None)

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        dtype = jnp.result_type(jnp.float32, *(p.dtype for p in params))
        zero = jnp.zeros((), dtype)
        return Shared(h.d0.astype(dtype), zero, zero)

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Estimate the distance from all tensors, then step each."""
        d = shared.distance
        rate, shares = common_rate(h.rates)
        squares = [q * jnp.sum(jnp.square(g)) for g, q in zip(grads, shares, strict=True)]
        norm = jnp.sqrt(sum(squares, jnp.zeros_like(d)))
        first = jnp.where(shared.first_norm > 0, shared.first_norm, norm)
        step = jnp.where(first > 0, d * rate / jnp.where(first > 0, first, 1), 0)

        numerator = shared.numerator
        square = jnp.zeros_like(d)
        new: list[Any] = []
        kept: list[Slots] = []
        for g, p, s, share, decay in zip(grads, params, slots, shares, h.decays, strict=True):
            numerator += step * share * jnp.sum(g * s.gradient_sum)
            total = s.gradient_sum + step.astype(p.dtype) * g
            square += share * jnp.sum(jnp.square(total))
            own = (step * share).astype(p.dtype)
            update = ahead = -own * g if decay is None else -own * (g + decay * p)
            if s.momentum is not None:
                update = (1 - h.momentum) * (s.momentum + ahead)
                ahead = h.momentum * (s.momentum + ahead)
            new.append(p + update)
            kept.append(Slots(total, None if s.momentum is None else ahead))
        found = 2 * numerator / jnp.sqrt(jnp.where(square > 0, square, 1))
        found = jnp.where((square > 0) & (rate > 0), found, d)
        if self.growth_rate is not None:
            found = jnp.minimum(found, d * h.growth_rate)
        return new, kept, Shared(jnp.maximum(d, found), numerator, first)
