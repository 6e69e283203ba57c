"""Trapezoids: a warm-up, a long plateau, a short decay."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.annealing import anneal
from talweg.schedules.base import RATE, LearningRateSchedule, choice, number
from talweg.schedules.counting import as_steps, steps_since


@dataclass(frozen=True)
class WarmupStableDecay(LearningRateSchedule):
    """A straight line up to the peak, the peak for a long time, then a short fall (WSD).

        t < W:          initial + (peak - initial) · t / W
        t < W + S:      peak
        t < W + S + D:  end + (peak - end) · f(x),   x = (t - W - S) / D
        after that:     end

        f(x): "1-sqrt" 1 - sqrt(x),   "linear" 1 - x,   "cos" (1 + cos(π x)) / 2

    with W, S, D = warmup_steps, stable_steps, decay_steps.

    Args:
        peak_value: the value of the plateau.
        warmup_steps: the length of the warm-up in steps; 0 for none.
        stable_steps: the length of the plateau in steps.
        decay_steps: the length of the fall in steps; positive. A tenth to a fifth of the
            training is usual.
        anneal: the curve of the fall: "1-sqrt", "linear" or "cos".
        initial_value: the value at step 0.
        end_value: the value after the fall.

    Raises:
        ValueError: a number outside its range, or an unknown curve.

    When to use it: long trainings that may be prolonged: a run on the plateau can go on, or
    be finished from any of its checkpoints.

    >>> schedule = WarmupStableDecay(0.1, 10, 70, 20, anneal="linear")
    >>> [round(float(schedule(step)), 4) for step in (5, 10, 79, 90, 100)]
    [0.05, 0.1, 0.1, 0.05, 0.0]

    Source: Hu et al., MiniCPM, 2024, arXiv:2404.06395; Hägele et al., NeurIPS 2024,
    arXiv:2405.18392 (1-sqrt); transformers.get_wsd_schedule.
    """

    peak_value: float = number(RATE)
    warmup_steps: float = number("[0, inf)")
    stable_steps: float = number("[0, inf)")
    decay_steps: float = number("(0, inf)")
    anneal: str = choice(("1-sqrt", "linear", "cos"), "1-sqrt")
    initial_value: float = number(RATE, 0.0)
    end_value: float = number(RATE, 0.0)

    def __call__(self, step: Any) -> jax.Array:
        t = as_steps(step)
        rise = anneal(self.initial_value, self.peak_value, t, self.warmup_steps)
        since = steps_since(t, self.warmup_steps + self.stable_steps)
        fall = anneal(self.peak_value, self.end_value, since, self.decay_steps, self.anneal)
        return jnp.where(t < self.warmup_steps, rise, fall)
