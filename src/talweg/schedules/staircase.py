"""Rates that fall by a factor at some steps and are constant between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import Interval
from talweg.schedules.base import (
    RATE,
    LearningRateSchedule,
    as_float,
    number,
    sequence,
)
from talweg.schedules.counting import as_steps, boundaries_reached, split


@dataclass(frozen=True)
class StepDecay(LearningRateSchedule):
    """The value is multiplied by `gamma` every `step_size` steps.

        value(t) = initial · gamma^⌊t / step_size⌋

    Args:
        initial_value: the value at step 0.
        step_size: the steps between two factors; positive.
        gamma: the factor, in [0, 1].

    Raises:
        ValueError: a number outside its range.

    When to use it: to repeat the classical trainings of vision, with every 30 epochs.

    >>> schedule = StepDecay(0.1, step_size=30)
    >>> [round(float(schedule(step)), 4) for step in (0, 29, 30, 60)]
    [0.1, 0.1, 0.01, 0.001]

    Source: He et al., CVPR 2016, arXiv:1512.03385; torch StepLR.
    """

    initial_value: float = number(RATE)
    step_size: float = number("(0, inf)")
    gamma: float = number("[0, 1]", 0.1, hint="A factor above 1 grows without bound.")

    def __call__(self, step: Any) -> jax.Array:
        falls, _ = split(as_steps(step), self.step_size)
        return self.initial_value * jnp.power(jnp.float32(self.gamma), as_float(falls))


@dataclass(frozen=True)
class MultiStepDecay(LearningRateSchedule):
    """The value is multiplied by `gamma` at each of the milestones.

        value(t) = initial · gamma^(number of milestones <= t)

    The first step with the new value is the milestone itself; `PiecewiseConstantDecay`,
    like Keras's, changes one step after its boundary.

    Args:
        initial_value: the value at step 0.
        milestones: the steps of the changes, strictly increasing.
        gamma: the factor, at least 0.

    Raises:
        ValueError: a number outside its range, or milestones that do not increase.

    When to use it: where it is known when the loss stops falling, as at half and at three
    quarters of a training.

    >>> schedule = MultiStepDecay(0.1, [30, 80])
    >>> [round(float(schedule(step)), 4) for step in (29, 30, 80)]
    [0.1, 0.01, 0.001]

    Source: He et al., CVPR 2016, arXiv:1512.03385; torch MultiStepLR.
    """

    initial_value: float = number(RATE)
    milestones: Sequence[float] = sequence("(-inf, inf)", increasing=True)
    gamma: float = number("[0, inf)", 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(value not in Interval.parse(RATE) for value in self._values()):
            expected = f"so small that no value leaves {RATE}"
            raise errors.invalid(type(self).__name__, "gamma", expected, self.gamma)

    def _values(self) -> list[float]:
        return [self.initial_value * self.gamma**i for i in range(len(self.milestones) + 1)]

    def __call__(self, step: Any) -> jax.Array:
        reached = boundaries_reached(step, self.milestones)
        return jnp.asarray(self._values(), jnp.float32)[reached]
