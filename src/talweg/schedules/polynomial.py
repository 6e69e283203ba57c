"""Rates that fall along a power of the remaining time."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, flag, number


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """The rate goes from one value to another along a power of the remaining time.

        rate(t) = end + (initial - end) · (1 - t / T)^power,   T = decay_steps

    After `decay_steps` it stays at the end, or with `cycle` starts again from a lower
    height: T is then the first multiple of `decay_steps` that is not below t.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the length of the decay in steps; positive.
        end_learning_rate: the rate after it.
        power: 1 is a straight line, 0.5 a square root, 2 a parabola; at least 0.
        cycle: whether to start again after `decay_steps`.
        name: a label for the config.

    Raises:
        ValueError: a number outside its range.

    When to use it: a training of known length: a line (power 1) for language models, power
    0.9 for segmentation.

    >>> schedule = PolynomialDecay(1.0, decay_steps=100, end_learning_rate=0.0)
    >>> [round(float(schedule(step)), 4) for step in (0, 25, 1000)]
    [1.0, 0.75, 0.0]

    Source: Chen et al., DeepLab, 2016, arXiv:1606.00915 (power 0.9);
    keras.optimizers.schedules.PolynomialDecay.
    """

    initial_learning_rate: float = number(RATE)
    decay_steps: float = number("(0, inf)")
    end_learning_rate: float = number(RATE, 1e-4)
    power: float = number("[0, inf)", 1.0)
    cycle: bool = flag()
    name: str = "PolynomialDecay"

    def __call__(self, step: Any) -> jax.Array:
        t = as_float(step)
        length = jnp.float32(self.decay_steps)
        if self.cycle:
            length = length * jnp.maximum(jnp.ceil(t / length), 1.0)
        # Rounding must not make the base negative: its square root would be NaN.
        remaining = jnp.maximum(1.0 - t / length, 0.0)
        span = self.initial_learning_rate - self.end_learning_rate
        return self.end_learning_rate + span * jnp.power(remaining, jnp.float32(self.power))
