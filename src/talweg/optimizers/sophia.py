"""Sophia-H: momentum over an estimate of the curvature, each component clipped.

    m <- b1 m + (1 - b1) g,   m^ = m / (1 - b1^t)
    p <- p - rate clip(m^ / max(gamma h, eps), ±clip)
    every 10 steps:  h <- b2 h + (1 - b2) u ∘ (H u),   u random signs

H is the Hessian of the loss on this batch: u ∘ (H u) is its diagonal on average
(Hutchinson). Liu, Li, Hall, Liang & Ma, ICLR 2024, arXiv:2305.14342. As in optax and in
the authors' code, a new h acts from the next step on, and m is corrected for bias, which
the paper does not do.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    hessian: Any


class Shared(NamedTuple):
    key: Any


def random_signs(
    key: jax.Array, t: jax.Array, params: Sequence[Any], positions: Sequence[int]
) -> list[jax.Array]:
    """Components of -1 and 1 for each tensor, drawn for step `t`."""
    key = jax.random.fold_in(key, t.astype(jnp.int32))
    return [
        jax.random.rademacher(jax.random.fold_in(key, i), p.shape, p.dtype)
        for i, p in zip(positions, params, strict=True)
    ]


class Sophia(Optimizer):
    """A second-order method at little more than Adam's cost.

    When to use it: for language models, where curvature differs much between components; it
    looks at the loss again every `update_interval` steps, so it needs `fit` or an
    objective.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 1e-4.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the estimate of the curvature forgets.
        epsilon: the least curvature, times gamma, that is divided by.
        gamma: a factor on the curvature: larger means fewer clipped components.
        clip: the largest magnitude of a component, in units of the rate.
        update_interval: every how many steps the curvature is estimated.
        seed: of the random signs.

    >>> Sophia(1e-3).update_interval
    10

    Source: Liu et al., ICLR 2024, arXiv:2305.14342; optax.contrib.sophia,
    Liuhong99/Sophia.
    """

    decays_itself = True

    learning_rate: Any = hyper(
        default=1e-4, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(default=0.965, interval="[0, 1)", hint="0.965 is the usual choice.")
    beta_2: float = hyper(default=0.99, interval="[0, 1)", hint="0.99 is the usual choice.")
    epsilon: float = hyper(default=1e-8, interval="(0, inf)")
    gamma: float = hyper(default=0.01, interval="(0, inf)", hint="Usual: 0.005 to 0.05.")
    clip: float = hyper(default=1.0, interval="(0, inf)", hint="1 is the usual choice.")
    update_interval: int = static(default=10, interval="[1, inf)")
    seed: int = static(default=0, interval="[0, 4294967295]")

    needs_objective = True

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        return Shared(jax.random.PRNGKey(self.seed))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Step every tensor; then, when it is due, look at the curvature."""
        new: list[Any] = []
        moments: list[Any] = []
        for g, p, s, rate, decay in zip(grads, params, slots, h.rates, h.decays, strict=True):
            m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
            corrected = m / (1 - h.beta_1.astype(p.dtype) ** t.astype(p.dtype))
            step = jnp.clip(
                corrected / jnp.maximum(h.gamma * s.hessian, h.epsilon), -h.clip, h.clip
            )
            new.append(p - (rate * (step if decay is None else step + decay * p)).astype(p.dtype))
            moments.append(m.astype(p.dtype))

        def look(old: list[Any]) -> list[Any]:
            signs = random_signs(shared.key, t, params, h.positions)
            gradient = lambda *p: h.objective(list(p))[1]  # noqa: E731
            products = jax.jvp(gradient, tuple(params), tuple(signs))[1]
            return [
                (a + (u * hu - a) * (1 - h.beta_2)).astype(a.dtype)
                for a, u, hu in zip(old, signs, products, strict=True)
            ]

        due = (t.astype(jnp.int32) - 1) % self.update_interval == 0
        old = [s.hessian for s in slots]
        hessians = jax.lax.cond(due, look, lambda old: old, old)
        return new, [Slots(m, a) for m, a in zip(moments, hessians, strict=True)], shared
