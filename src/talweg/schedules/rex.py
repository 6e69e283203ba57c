"""The reflected exponential, for trainings on a budget."""

from dataclasses import dataclass
from typing import Any

import jax

from talweg.schedules.annealing import anneal
from talweg.schedules.base import RATE, LearningRateSchedule, number
from talweg.schedules.counting import as_steps


@dataclass(frozen=True)
class REX(LearningRateSchedule):
    """The value falls slowly at first and ever faster towards the end of the budget.

        value(t) = end + (initial - end) · (1 - x) / (1 - x / 2),   x = t / decay_steps

    Args:
        initial_value: the value at step 0.
        decay_steps: the budget: the length of the fall in steps; positive.
        end_value: the value after it.

    Raises:
        ValueError: a number outside its range.

    When to use it: a fixed budget of any size, with a rate that needs no tuning per budget;
    between a line, better for small budgets, and a step, better for large ones.

    >>> schedule = REX(1.0, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 50, 80, 100)]
    [1.0, 0.6667, 0.3333, 0.0]

    Source: Chen, Wolfe & Kyrillidis, REX, MLSys 2022, arXiv:2107.04197.
    """

    initial_value: float = number(RATE)
    decay_steps: float = number("(0, inf)")
    end_value: float = number(RATE, 0.0)

    def __call__(self, step: Any) -> jax.Array:
        return anneal(self.initial_value, self.end_value, as_steps(step), self.decay_steps, "rex")
