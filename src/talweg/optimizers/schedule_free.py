"""Schedule-free learning: averaging in the place of a decaying rate.

    y = (1 - b) z + b x                    the gradient g is taken at y
    z <- z - rate d                        d is g, or Adam's direction without momentum
    x <- (1 - c) x + c z,   c = w / Σ w,   w = (largest rate so far)²

Defazio, Yang, Khaled, Mishchenko, Mehta & Cutkosky, NeurIPS 2024, arXiv:2405.15682. The
weights that are trained are y, those to evaluate with are x; z is kept, and x follows from
both: x = y + (1 - 1/b) (z - y). Weight decay acts at y, as a part of d. Kept per tensor and
for all are z and the sum of the w, so that x never needs memory of its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    """Named as in Keras: z is its `momentum`."""

    momentum: Any


class AdamSlots(NamedTuple):
    momentum: Any
    velocity: Any


class Shared(NamedTuple):
    weight_sum: Any
    largest_rate: Any


def _warmth(h: Any, t: jax.Array) -> Any:
    """The share of the rate at step `t`, which rises linearly over the warm-up."""
    return jnp.minimum(t / h.warmup_steps, 1) if h.warmup_steps else 1.0


class _ScheduleFree(Optimizer):
    """What both share; they give the direction, and where between z and x they train."""

    trains_elsewhere = True
    decays_itself = True

    def _beta(self, h: Any) -> Any:
        raise NotImplementedError

    def _direction(self, g: jax.Array, s: Any, h: Any, t: jax.Array) -> tuple[jax.Array, Any]:
        """Where z goes, downwards, and the slots with what it took."""
        raise NotImplementedError

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        zero = jnp.zeros((), jnp.result_type(jnp.float32, *(p.dtype for p in params)))
        return Shared(zero, zero)

    def advance(self, shared: Shared, h: Any, t: jax.Array) -> Shared:
        rate = h.learning_rate * _warmth(h, t)
        largest = jnp.maximum(shared.largest_rate, rate.astype(shared.largest_rate.dtype))
        return Shared(shared.weight_sum + jnp.square(largest), largest)

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Move z by the direction, x towards z, and y between them."""
        shared = self.advance(shared, h, t)
        total, beta = shared.weight_sum, self._beta(h)
        share = jnp.square(shared.largest_rate) / jnp.where(total > 0, total, 1)
        new: list[Any] = []
        kept: list[Any] = []
        for g, y, s, rate, decay in zip(grads, params, slots, h.rates, h.decays, strict=True):
            rate = (rate * _warmth(h, t)).astype(y.dtype)
            # At rate 0 nothing moves: not even y towards z.
            c = jnp.where(rate > 0, share, 0).astype(y.dtype)
            direction, s = self._direction(g, s, h, t.astype(y.dtype))
            if decay is not None:
                direction = direction + decay * y
            new.append(y + (c * (s.momentum - y) - rate * (1 - beta * (1 - c)) * direction))
            kept.append(s._replace(momentum=s.momentum - rate * direction))
        return new, kept, shared

    def evaluated(self, p: jax.Array, s: Any, h: Any) -> jax.Array:
        return p + (1 - 1 / self._beta(h)) * (s.momentum - p)

    def trained(self, x: jax.Array, s: Any, h: Any) -> jax.Array:
        return x + (1 - self._beta(h)) * (s.momentum - x)


class ScheduleFreeSGD(_ScheduleFree):
    """Gradient descent that needs no schedule of the rate.

    When to use it: where the length of the training is not known beforehand.

    The model is trained at one point and evaluated at another; `fit` and `evaluate` switch
    by themselves.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 1.
        momentum: where between the last point (0) and the average (1) gradients are taken;
            in (0, 1). To be settled before the first step.
        warmup_steps: over how many steps the rate rises from 0.

    >>> ScheduleFreeSGD(0.5).momentum
    0.9

    Source: Defazio et al., NeurIPS 2024, arXiv:2405.15682; facebookresearch/schedule_free.
    """

    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 0.1 to 10."
    )
    momentum: float = hyper(default=0.9, interval="(0, 1)", hint="0.9 is the usual choice.")
    warmup_steps: int = static(default=0, interval="[0, inf)")

    def _beta(self, h: Any) -> Any:
        return h.momentum

    def _direction(self, g: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
        return g, s

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(p.copy())


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW that needs no schedule of the rate.

    When to use it: where the length of the training is not known beforehand.

    The model is trained at one point and evaluated at another; `fit` and `evaluate` switch
    by themselves.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.0025.
        beta_1: where between the last point (0) and the average (1) gradients are taken;
            in (0, 1). To be settled before the first step.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root of the bias-corrected mean square.
        warmup_steps: over how many steps the rate rises from 0.

    Keras averages with the weights 1/t and evaluates at y; here both are as in the paper, so
    that equal numbers are not to be expected. Its state (z, v) means the same.

    >>> ScheduleFreeAdamW().beta_1
    0.9

    Source: Defazio et al., NeurIPS 2024, arXiv:2405.15682; facebookresearch/schedule_free.
    """

    learning_rate: Any = hyper(
        default=0.0025, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-2."
    )
    beta_1: float = hyper(default=0.9, interval="(0, 1)", hint="0.9 is the usual choice.")
    beta_2: float = hyper(
        default=0.999,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.999 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")
    warmup_steps: int = static(default=0, interval="[0, inf)")

    def _beta(self, h: Any) -> Any:
        return h.beta_1

    def _direction(
        self, g: jax.Array, s: AdamSlots, h: Any, t: jax.Array
    ) -> tuple[jax.Array, AdamSlots]:
        v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
        root = jnp.sqrt(v / (1 - h.beta_2.astype(t.dtype) ** t)) + h.epsilon
        return g / root, s._replace(velocity=v)

    def init_slots(self, p: jax.Array, h: Any) -> AdamSlots:
        return AdamSlots(p.copy(), jnp.zeros_like(p))
