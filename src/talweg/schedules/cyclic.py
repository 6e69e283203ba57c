"""Rates that go up and down again and again."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, choice, number
from talweg.schedules.counting import as_steps, split


@dataclass(frozen=True)
class Cyclic(LearningRateSchedule):
    """Triangles between two values.

        value(t) = initial + (peak - initial) · triangle(t) · scale(t)

    where the triangle goes from 0 to 1 in `step_size_up` steps and back in
    `step_size_down`, and the scale after i whole cycles is

        "triangular" 1,   "triangular2" 1 / 2ⁱ,   "exp_range" gammaᵗ

    A peak below the initial value gives the opposite cycle, that of the momentum.

    Args:
        initial_value: the value at the start of each cycle.
        peak_value: the value at the top of the first triangle.
        step_size_up: the steps from the start of a cycle to its top; positive.
        step_size_down: the steps from the top to the start of the next; None for as many.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: the factor per step of "exp_range", in (0, 1].

    Raises:
        ValueError: a number outside its range, or an unknown mode.

    When to use it: where the length of the training is open, and to find two rates to stay
    between; a half cycle of 2 to 10 epochs is usual.

    >>> schedule = Cyclic(0.0, 1.0, step_size_up=10, mode="triangular2")
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
    [0.0, 0.5, 1.0, 0.0, 0.5]

    Source: Smith, WACV 2017, arXiv:1506.01186; torch CyclicLR.
    """

    initial_value: float = number(RATE)
    peak_value: float = number(RATE)
    step_size_up: float = number("(0, inf)", 2000)
    step_size_down: float | None = number("(0, inf)", None, optional=True)
    mode: str = choice(("triangular", "triangular2", "exp_range"), "triangular")
    gamma: float = number("(0, 1]", 1.0, hint="A factor above 1 grows without bound.")

    def __call__(self, step: Any) -> jax.Array:
        up = self.step_size_up
        down = up if self.step_size_down is None else self.step_size_down
        cycles, within = split(as_steps(step), up + down)
        left = (up + down) - within
        height = jnp.minimum(as_float(within) / up, as_float(left) / down)
        if self.mode == "triangular2":
            height = height * jnp.power(jnp.float32(0.5), as_float(cycles))
        elif self.mode == "exp_range":
            # The logarithm keeps the digits that gamma itself would lose in float32.
            height = height * jnp.exp(as_float(step) * math.log(self.gamma))
        return self.initial_value * (1.0 - height) + self.peak_value * height
