"""Warm restarts of any schedule."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.schedules.base import LearningRateSchedule, as_float, number
from talweg.schedules.counting import as_steps, boundaries_reached, split

# Below this factor of the length there would be thousands of periods to look up.
_LEAST_GROWTH = 1.01


@dataclass(frozen=True)
class WarmRestarts(LearningRateSchedule):
    """A schedule that begins again and again, each time longer (and lower).

        value(t) = m_mulⁱ · base((t - bᵢ) / t_mulⁱ),   bᵢ = period · (1 + t_mul + … + t_mulⁱ⁻¹)

    where i counts the restarts so far: in its period of period · t_mulⁱ steps, the first
    `period` steps of the base are stretched.

    Args:
        base: the schedule of the first period; its steps 0 to `period` are used.
        period: the length of the first period in steps; positive.
        t_mul: the factor of the length from one period to the next; 1, or at least 1.01.
        m_mul: the factor of the height from one period to the next, in [0, 1]; unlike
            that of `CosineDecayRestarts` it also lowers the end of a period.

    Raises:
        ValueError: a number outside its range.
        TypeError: the base is no schedule.

    When to use it: where the end of each period gives a model worth keeping, for an
    ensemble or because the end of the training is open.

    >>> from talweg.optimizers.schedules import Linear
    >>> schedule = WarmRestarts(Linear(1.0, 0.0, 10), period=10, m_mul=0.5)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 0.5, 0.25, 0.25]

    Source: Loshchilov & Hutter, SGDR, ICLR 2017, arXiv:1608.03983; torch
    CosineAnnealingWarmRestarts.
    """

    base: LearningRateSchedule
    period: float = number("(0, inf)")
    t_mul: float = number("[1, inf)", 2.0, hint="Periods that shrink end at a finite step.")
    m_mul: float = number("[0, 1]", 1.0, hint="A factor above 1 grows without bound.")

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        if not isinstance(self.base, LearningRateSchedule):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.wrong_type(owner, "base", "a schedule", self.base)
        if 1 < self.t_mul < _LEAST_GROWTH:
            expected = f"1, or at least {_LEAST_GROWTH}"
            raise errors.invalid(owner, "t_mul", expected, self.t_mul)

    def __call__(self, step: Any) -> jax.Array:
        steps = as_steps(step)
        if self.t_mul == 1:
            restarts, within = split(steps, self.period)
        else:
            restarts, within = self._stretched(steps)
        return jnp.power(jnp.float32(self.m_mul), as_float(restarts)) * self.base(within)

    def _stretched(self, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The number of restarts, and the step in the first period that corresponds."""
        begins = self._begins()
        restarts = boundaries_reached(steps, begins[1:].tolist())
        # From the first whole step of a period: the whole numbers are subtracted exactly.
        first = np.ceil(begins)
        late = jnp.asarray(first - begins, jnp.float32)[restarts]
        stretch = jnp.asarray(self.t_mul ** np.arange(len(begins)), jnp.float32)[restarts]
        since = as_float(steps - jnp.asarray(first.astype(steps.dtype))[restarts]) + late
        return restarts, jnp.clip(since / stretch, 0.0, self.period)

    def _begins(self) -> np.ndarray:
        """The first steps of all periods that 31 bits can count, in float64."""
        growth = math.log1p(2**31 * (self.t_mul - 1) / self.period) / math.log(self.t_mul)
        count = np.arange(max(math.ceil(growth), 1))
        begins = self.period * (self.t_mul**count - 1) / (self.t_mul - 1)
        # A sum that is a whole number in exact arithmetic is not taken for the next one.
        whole = np.round(begins)
        begins = np.where(np.isclose(begins, whole, rtol=1e-12, atol=0), whole, begins)
        return begins[begins <= 2**31 - 1]
