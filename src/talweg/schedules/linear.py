"""A straight line."""

from dataclasses import dataclass
from typing import Any

import jax

from talweg.schedules.annealing import anneal
from talweg.schedules.base import RATE, LearningRateSchedule, number
from talweg.schedules.counting import as_steps


@dataclass(frozen=True)
class Linear(LearningRateSchedule):
    """A straight line from one value to another, which is then kept.

        value(t) = initial + (end - initial) · t / T,   T = transition_steps

    Args:
        initial_value: the value at step 0.
        end_value: the value at step `transition_steps` and after it.
        transition_steps: the length of the line in steps; positive.

    Raises:
        ValueError: a number outside its range.

    When to use it: as a warm-up, before another schedule in `join`; falling to 0, with a
    known number of steps, where it is hard to beat.

    >>> schedule = Linear(0.0, 0.1, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 25, 100, 1000)]
    [0.0, 0.025, 0.1, 0.1]

    Source: Goyal et al., 2017, arXiv:1706.02677 (warm-up); Defazio et al., 2023,
    arXiv:2310.07831 (decay to 0); optax.linear_schedule, torch LinearLR.
    """

    initial_value: float = number(RATE)
    end_value: float = number(RATE)
    transition_steps: float = number("(0, inf)")

    def __call__(self, step: Any) -> jax.Array:
        steps = as_steps(step)
        return anneal(self.initial_value, self.end_value, steps, self.transition_steps)
