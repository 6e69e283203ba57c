"""The rate of the first Transformer."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, number


@dataclass(frozen=True)
class Noam(LearningRateSchedule):
    """A linear warm-up, then a fall with the inverse square root of the step.

        rate(t) = scale · model_size^-½ · min(s^-½, s · warmup_steps^-3/2),   s = t + 1

    The peak, scale / sqrt(model_size · warmup_steps), is at s = warmup_steps.

    Args:
        model_size: the width of the model; positive.
        warmup_steps: the steps up to the peak; positive.
        scale: a factor on all of it.

    Raises:
        ValueError: a number outside its range.

    When to use it: Transformers with Adam (beta_2 0.98) where the length of the training is
    open.

    >>> schedule = Noam(model_size=100, warmup_steps=100)
    >>> [round(float(schedule(step)), 4) for step in (49, 99, 399)]
    [0.005, 0.01, 0.005]

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762;
    tensor2tensor's noam scheme.
    """

    model_size: float = number("(0, inf)", 512)
    warmup_steps: float = number("(0, inf)", 4000)
    scale: float = number(RATE, 1.0)

    def __call__(self, step: Any) -> jax.Array:
        periods = (as_float(step) + 1.0) / self.warmup_steps
        peak = self.scale / (self.model_size * self.warmup_steps) ** 0.5
        return peak * jnp.minimum(periods, 1.0 / jnp.sqrt(periods))
