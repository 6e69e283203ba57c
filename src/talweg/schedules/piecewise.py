"""Rates that are constant between given steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.schedules.base import RATE, LearningRateSchedule, sequence
from talweg.schedules.counting import boundaries_reached


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """The rate is `values[i]` up to and including step `boundaries[i]`, then the next.

    Args:
        boundaries: the last step of each value but the last, strictly increasing.
        values: the rates, one more than there are boundaries.
        name: a label for the config.

    Raises:
        ValueError: the lengths do not fit, the boundaries do not increase (Keras adds the
            overlapping values up), or a value is no rate.

    When to use it: rates chosen by hand for known parts of a training.

    >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (10, 11, 21)]
    [1.0, 0.5, 0.25]

    Source: He et al., CVPR 2016, arXiv:1512.03385;
    keras.optimizers.schedules.PiecewiseConstantDecay.
    """

    boundaries: Sequence[float] = sequence("(-inf, inf)", increasing=True)
    values: Sequence[float] = sequence(RATE)
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != len(self.boundaries) + 1:
            expected = f"of length {len(self.boundaries) + 1}, one more than boundaries"
            raise errors.invalid(type(self).__name__, "values", expected, list(self.values))

    def __call__(self, step: Any) -> jax.Array:
        piece = boundaries_reached(step, self.boundaries, inclusive=False)
        return jnp.asarray(self.values, jnp.float32)[piece]
