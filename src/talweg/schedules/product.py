"""Schedules multiplied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from talweg.schedules.base import LearningRateSchedule, check_parts, value_at
from talweg.schedules.counting import as_steps


@dataclass(frozen=True)
class Product(LearningRateSchedule):
    """The product of schedules and numbers at the same step; also written `a * b`.

        value(t) = factors[0](t) · factors[1](t) · …

    Args:
        factors: schedules and numbers, at least one; a product among them is taken apart.

    Raises:
        ValueError: no factors, or a number that is no rate.
        TypeError: something that is neither a schedule nor a number.

    When to use it: a warm-up that multiplies another schedule, a schedule scaled, or
    cycles under an envelope.

    >>> from talweg.optimizers.schedules import CosineDecay, Linear
    >>> schedule = 0.5 * Linear(0.0, 1.0, 10) * CosineDecay(1.0, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 50, 100)]
    [0.0, 0.25, 0.0]

    Source: torch ChainedScheduler.
    """

    factors: Sequence[LearningRateSchedule | float]

    def __post_init__(self) -> None:
        factors: list[LearningRateSchedule | float] = []
        for factor in check_parts(type(self).__name__, "factors", self.factors):
            factors.extend(factor.factors if type(factor) is Product else [factor])
        object.__setattr__(self, "factors", tuple(factors))

    def __call__(self, step: Any) -> jax.Array:
        steps = as_steps(step)
        value = value_at(self.factors[0], steps)
        for factor in self.factors[1:]:
            value = value * value_at(factor, steps)
        return value
