"""Rates that fall by a constant factor, or as one over time."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, flag, number


@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule):
    """The rate is multiplied by `decay_rate` every `decay_steps` steps.

        rate(t) = initial_learning_rate · decay_rate^(t / decay_steps)

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps per factor of `decay_rate`; positive.
        decay_rate: the factor, at least 0.
        staircase: whether t / decay_steps is rounded down, so that the rate falls in steps.
        name: a label for the config.

    Raises:
        ValueError: a number outside its range.

    When to use it: a training of open length whose rate shall halve in equal times.

    >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> round(float(schedule(20)), 4)
    0.025

    Source: keras.optimizers.schedules.ExponentialDecay, optax.exponential_decay.
    """

    initial_learning_rate: float = number(RATE)
    decay_steps: float = number("(0, inf)")
    decay_rate: float = number("[0, inf)")
    staircase: bool = flag()
    name: str = "ExponentialDecay"

    def __call__(self, step: Any) -> jax.Array:
        progress = as_float(step) / self.decay_steps
        progress = jnp.floor(progress) if self.staircase else progress
        return self.initial_learning_rate * jnp.power(jnp.float32(self.decay_rate), progress)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """The rate falls as one over time.

        rate(t) = initial_learning_rate / (1 + decay_rate · t / decay_steps)

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the unit of time, in steps; positive.
        decay_rate: how much the denominator grows per unit of time, at least 0.
        staircase: whether t / decay_steps is rounded down, so that the rate falls in steps.
        name: a label for the config.

    Raises:
        ValueError: a number outside its range.

    When to use it: plain SGD on noisy gradients, whose theory asks for a rate like 1 / t.

    >>> schedule = InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)
    >>> round(float(schedule(10)), 4)
    0.05

    Source: Robbins & Monro, Annals of Mathematical Statistics 22, 1951;
    keras.optimizers.schedules.InverseTimeDecay.
    """

    initial_learning_rate: float = number(RATE)
    decay_steps: float = number("(0, inf)")
    decay_rate: float = number("[0, inf)", hint="A negative one divides by zero at some step.")
    staircase: bool = flag()
    name: str = "InverseTimeDecay"

    def __call__(self, step: Any) -> jax.Array:
        progress = as_float(step) / self.decay_steps
        progress = jnp.floor(progress) if self.staircase else progress
        return self.initial_learning_rate / (1.0 + self.decay_rate * progress)
