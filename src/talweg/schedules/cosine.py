"""Rates along a half cosine, once or with warm restarts.

Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017,
arXiv:1608.03983. The linear warm-up is that of Goyal et al., arXiv:1706.02677.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.schedules.base import RATE, LearningRateSchedule, as_float, number

_ROUNDING = 5e-7


@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule):
    """The rate falls along a half cosine, after an optional linear warm-up.

        rate(t) = peak · (alpha + (1 - alpha) · (1 + cos(π t / decay_steps)) / 2)

    With a `warmup_target` the rate first goes in a straight line from the initial one to
    the target in `warmup_steps`; the peak is then the target, t counts from there, and
    the decay still takes all of `decay_steps`.

    Args:
        initial_learning_rate: the rate at step 0. The integer 0 is as good as 0.0 (Keras
            computes the whole schedule in integers then).
        decay_steps: the length of the decay in steps; positive.
        alpha: the rate at the end, as a fraction of the peak.
        name: a label for the config.
        warmup_target: the rate after the warm-up; None for no warm-up.
        warmup_steps: the length of the warm-up in steps.

    Raises:
        ValueError: a number outside its range.

    When to use it: a training of known length; the usual choice, with a warm-up for
    Transformers.

    >>> schedule = CosineDecay(0.0, 1000, warmup_target=0.1, warmup_steps=100)
    >>> [round(float(schedule(step)), 4) for step in (50, 100, 600, 1100)]
    [0.05, 0.1, 0.05, 0.0]

    Source: Loshchilov & Hutter, SGDR, ICLR 2017, arXiv:1608.03983; Goyal et al., 2017,
    arXiv:1706.02677 (warm-up); keras.optimizers.schedules.CosineDecay.
    """

    initial_learning_rate: float = number(RATE)
    decay_steps: float = number("(0, inf)")
    alpha: float = number("[0, inf)", 0.0)
    name: str = "CosineDecay"
    warmup_target: float | None = number(RATE, None, optional=True)
    warmup_steps: float = number("[0, inf)", 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup_target is None and self.warmup_steps:
            warnings.warn(
                f"CosineDecay: warmup_steps={self.warmup_steps} has no effect without "
                "warmup_target, the rate to warm up to.",
                stacklevel=3,
            )

    def __call__(self, step: Any) -> jax.Array:
        t = as_float(step)
        if self.warmup_target is None:
            return self._decay(t, self.initial_learning_rate)
        decay = self._decay(t - self.warmup_steps, self.warmup_target)
        if not self.warmup_steps:
            return decay
        rise = self.warmup_target - self.initial_learning_rate
        warmup = self.initial_learning_rate + rise * (t / self.warmup_steps)
        return jnp.where(t < self.warmup_steps, warmup, decay)

    def _decay(self, t: jax.Array, peak: float) -> jax.Array:
        fraction = jnp.minimum(t, self.decay_steps) / self.decay_steps
        return peak * (self.alpha + (1.0 - self.alpha) * _half_cosine(fraction))


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """The rate falls along half cosines, each longer (and lower) than the one before.

        rate(t) = initial · (alpha + (1 - alpha) · m_mulⁱ · (1 + cos(π f)) / 2)

    where i counts the restarts so far and f is the fraction of the current period, whose
    length is first_decay_steps · t_mulⁱ.

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: the length of the first period in steps; positive.
        t_mul: the factor of the length from one period to the next, at least 1 (below, the
            periods would end at a finite step, after which Keras gives NaN).
        m_mul: the factor of the height from one period to the next.
        alpha: the lowest rate, as a fraction of the initial one.
        name: a label for the config.

    Raises:
        ValueError: a number outside its range.

    When to use it: where the end of each period gives a model worth keeping, for an
    ensemble or because the end of the training is open.

    >>> schedule = CosineDecayRestarts(1.0, 10, m_mul=0.5)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 0.5, 0.25, 0.25]

    Source: Loshchilov & Hutter, SGDR, ICLR 2017, arXiv:1608.03983;
    keras.optimizers.schedules.CosineDecayRestarts.
    """

    initial_learning_rate: float = number(RATE)
    first_decay_steps: float = number("(0, inf)")
    t_mul: float = number("[1, inf)", 2.0, hint="Periods that shrink end at a finite step.")
    m_mul: float = number("[0, inf)", 1.0)
    alpha: float = number("[0, inf)", 0.0)
    name: str = "SGDRDecay"

    def __call__(self, step: Any) -> jax.Array:
        periods = as_float(step) / self.first_decay_steps
        # Rounding must not leave the first step of a period at the end of the one before,
        # where the rate is lowest (Keras's compiled schedule does that for t_mul = 10).
        reached = periods * (1.0 + _ROUNDING)
        if self.t_mul == 1:
            restarts = jnp.floor(reached)
            begin, length = restarts, 1.0
        else:
            restarts = self._restarts(reached)
            begin, length = self._begin(restarts), jnp.power(jnp.float32(self.t_mul), restarts)
        fraction = jnp.clip((periods - begin) / length, 0.0, 1.0)
        height = jnp.power(jnp.float32(self.m_mul), restarts)
        decay = self.alpha + (1.0 - self.alpha) * height * _half_cosine(fraction)
        return self.initial_learning_rate * decay

    def _restarts(self, reached: jax.Array) -> jax.Array:
        """The number of restarts, where periods grow: the logarithm's guess, put right."""
        growth = jnp.log1p(reached * (self.t_mul - 1.0)) / jnp.log(jnp.float32(self.t_mul))
        guess = jnp.floor(growth)
        guess = jnp.where(reached >= self._begin(guess + 1.0), guess + 1.0, guess)
        return jnp.where(reached < self._begin(guess), guess - 1.0, guess)

    def _begin(self, restarts: jax.Array) -> jax.Array:
        """Where a period begins, in units of the first one."""
        return (jnp.power(jnp.float32(self.t_mul), restarts) - 1.0) / (self.t_mul - 1.0)


def _half_cosine(fraction: jax.Array) -> jax.Array:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * fraction))
