"""The one-cycle policy: up to a large rate, and down to almost nothing."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.schedules.annealing import anneal
from talweg.schedules.base import RATE, LearningRateSchedule, choice, flag, number
from talweg.schedules.counting import as_steps, steps_since


@dataclass(frozen=True)
class OneCycle(LearningRateSchedule):
    """From the initial value to the peak, and from there to the end, in all of a training.

        up = pct_start · total_steps - 1,   last = total_steps - 1
        two phases:    initial → peak at up → end at last
        three phases:  initial → peak at up → initial at 2 up → end at last

    The last of `total_steps` steps has the end value, and so has every step after it. A
    peak below the initial value gives the opposite cycle, that of the momentum:

        SGD(OneCycle(0.1, n), momentum=OneCycle(0.85, n, initial_value=0.95, end_value=0.95))

    Args:
        peak_value: the value at the peak.
        total_steps: the length of the training in steps; at least 1.
        pct_start: the fraction of the steps before the peak; at most 0.5 with three phases.
        anneal: the curve of each phase, "cos" or "linear".
        initial_value: the value at step 0; None for peak_value / 25.
        end_value: the value at the last step; None for initial_value / 10,000.
        three_phase: whether the way back to the initial value is a phase of its own.

    Raises:
        ValueError: a number outside its range, or an unknown curve.

    When to use it: a short training of known length at a rate close to the largest that
    converges, with the momentum going the opposite way.

    >>> schedule = OneCycle(1.0, 100, pct_start=0.3, anneal="linear", end_value=0.0)
    >>> [round(float(schedule(step)), 4) for step in (0, 29, 64, 99)]
    [0.04, 1.0, 0.5, 0.0]

    Source: Smith & Topin, Super-Convergence, 2017, arXiv:1708.07120; torch OneCycleLR,
    optax.cosine_onecycle_schedule (which reaches the end one step after the last).
    """

    peak_value: float = number(RATE)
    total_steps: float = number("[1, inf)")
    pct_start: float = number("[0, 1]", 0.3)
    anneal: str = choice(("cos", "linear"), "cos")
    initial_value: float | None = number(RATE, None, optional=True)
    end_value: float | None = number(RATE, None, optional=True)
    three_phase: bool = flag()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.three_phase and self.pct_start > 0.5:
            expected = "in [0, 0.5] with three_phase=True"
            remedy = "The way down takes as long as the way up."
            raise errors.invalid("OneCycle", "pct_start", expected, self.pct_start, remedy)

    def __call__(self, step: Any) -> jax.Array:
        t = as_steps(step)
        peak = self.peak_value
        initial = peak / 25.0 if self.initial_value is None else self.initial_value
        end = initial / 1e4 if self.end_value is None else self.end_value
        up, last = self.pct_start * self.total_steps - 1.0, self.total_steps - 1.0
        value = anneal(initial, peak, t, up, self.anneal)
        fall_to, down = (initial, 2.0 * up) if self.three_phase else (end, last)
        fall = anneal(peak, fall_to, steps_since(t, up), down - up, self.anneal)
        value = jnp.where(t <= up, value, fall)
        if not self.three_phase:
            return value
        out = anneal(initial, end, steps_since(t, down), last - down, self.anneal)
        return jnp.where(t <= down, value, out)
