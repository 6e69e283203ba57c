"""Schedules one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.schedules.base import (
    LearningRateSchedule,
    check_parts,
    sequence,
    value_at,
)
from talweg.schedules.counting import as_steps, steps_since


@dataclass(frozen=True)
class Join(LearningRateSchedule):
    """Each schedule up to its boundary, then the next, from its own step 0.

        value(t) = schedules[i](t - boundaries[i - 1]),   i = number of boundaries <= t

    Args:
        schedules: schedules, and numbers for constant values.
        boundaries: the first step of each schedule but the first; positive, strictly
            increasing, one fewer than there are schedules.

    Raises:
        ValueError: the lengths do not fit, the boundaries do not increase, or a number is no
            rate.
        TypeError: something that is neither a schedule nor a number.

    When to use it: a warm-up before any schedule, a plateau between two, or any other order
    of phases.

    >>> from talweg.optimizers.schedules import CosineDecay, Linear
    >>> schedule = Join([Linear(0.0, 0.1, 10), CosineDecay(0.1, 90)], [10])
    >>> [round(float(schedule(step)), 4) for step in (5, 10, 55, 100)]
    [0.05, 0.1, 0.05, 0.0]

    Source: optax.join_schedules; torch SequentialLR.
    """

    schedules: Sequence[LearningRateSchedule | float]
    boundaries: Sequence[float] = sequence("(0, inf)", increasing=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        object.__setattr__(self, "schedules", check_parts(owner, "schedules", self.schedules))
        if len(self.boundaries) != len(self.schedules) - 1:
            expected = f"of length {len(self.schedules) - 1}, one less than schedules"
            raise errors.invalid(owner, "boundaries", expected, list(self.boundaries))

    def __call__(self, step: Any) -> jax.Array:
        steps = as_steps(step)
        value = value_at(self.schedules[0], steps)
        for part, boundary in zip(self.schedules[1:], self.boundaries, strict=True):
            since = steps_since(steps, boundary)
            # Before its time a schedule is not asked about negative steps.
            value = jnp.where(since < 0, value, value_at(part, jnp.maximum(since, 0)))
        return value


def join(
    schedules: Sequence[LearningRateSchedule | float], boundaries: Sequence[float]
) -> LearningRateSchedule:
    """Schedules one after the other; `Join`, under the name of optax's function.

    Args:
        schedules: schedules, and numbers for constant values.
        boundaries: the first step of each schedule but the first.

    >>> [float(rate) for rate in join([0.5, 0.25], [10])(jnp.array([9, 10]))]
    [0.5, 0.25]
    """
    return Join(schedules, boundaries)
