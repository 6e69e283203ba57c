"""A rate that falls as the inverse square root of the step.

Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, number


@dataclass(frozen=True)
class InverseRoot(LearningRateSchedule):
    """The rate is constant at first, then falls with the root of the step.

        rate(t) = initial · sqrt(hold / max(t, hold))

    Args:
        initial_learning_rate: the rate at step 0.
        hold_steps: for how many steps it is held; positive.
        name: a label for the config.

    Raises:
        ValueError: a number outside its range.

    >>> [float(rate) for rate in InverseRoot(0.5, 100)(jnp.array([0, 100, 400]))]
    [0.5, 0.5, 0.25]
    """

    initial_learning_rate: float = number(RATE)
    hold_steps: float = number("(0, inf)")
    name: str = "InverseRoot"

    def __call__(self, step: Any) -> jax.Array:
        t = jnp.maximum(as_float(step), self.hold_steps)
        return self.initial_learning_rate * jnp.sqrt(self.hold_steps / t)
