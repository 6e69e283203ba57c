"""Rates that are constant between given steps."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.schedules.base import RATE, LearningRateSchedule, as_float, check_sequence


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

    >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (10, 11, 21)]
    [1.0, 0.5, 0.25]
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        boundaries = check_sequence(owner, "boundaries", self.boundaries, "(-inf, inf)")
        values = check_sequence(owner, "values", self.values, RATE)
        if len(values) != len(boundaries) + 1:
            expected = f"of length {len(boundaries) + 1}, one more than boundaries"
            raise errors.invalid(owner, "values", expected, list(values))
        if any(high <= low for low, high in itertools.pairwise(boundaries)):
            raise errors.invalid(owner, "boundaries", "strictly increasing", list(boundaries))
        object.__setattr__(self, "boundaries", boundaries)
        object.__setattr__(self, "values", values)

    def __call__(self, step: Any) -> jax.Array:
        steps = jnp.asarray(step)
        if jnp.issubdtype(steps.dtype, jnp.integer):
            # Whole steps are compared as integers: float32 is exact only up to 2**24.
            limits = np.iinfo(steps.dtype)
            whole = np.floor(np.asarray(self.boundaries, np.float64))
            boundaries = np.clip(whole, limits.min, limits.max).astype(steps.dtype)
        else:
            steps, boundaries = as_float(steps), np.asarray(self.boundaries, np.float32)
        piece = jnp.sum(steps[..., None] > boundaries, axis=-1)
        return jnp.asarray(self.values, jnp.float32)[piece]
