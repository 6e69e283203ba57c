"""The learning rate as a function of the epoch."""

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.rates import log_rates, optimizers_of, set_rate
from talweg.core import errors


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    It sets the constant; a `rate_multiplier` still applies on top. Where the optimizer has
    a schedule of its own, the multiplier is set, so that the next step has the rate asked
    for and the schedule shapes the epoch from there (Keras raises a TypeError).

    Args:
        schedule: `schedule(epoch, rate) -> rate`, or `schedule(epoch) -> rate`; `epoch`
            counts from 0 and `rate` is the present one.
        verbose: 1 prints every change.

    Raises:
        ValueError: the function returned no number that can be a rate, or the optimizer's
            own schedule is 0 at this step.

    Example:

        halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
        model.fit(x, y, epochs=10, callbacks=[halve])
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        if not callable(schedule):
            raise errors.wrong_type(type(self).__name__, "schedule", "a function", schedule)
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        owner = type(self).__name__
        for label, optimizer in optimizers_of(owner, self.model):
            if optimizer.schedule is None:
                rate = self._rate(epoch, float(optimizer.learning_rate))
                optimizer.learning_rate = rate
            else:
                rate = self._rate(epoch, float(optimizer.rate))
                set_rate(owner, optimizer, rate)
            if self.verbose > 0:
                whose = f"{label} learning rate" if label else "learning rate"
                console.say(f"\nEpoch {epoch + 1}: {owner} setting {whose} to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        log_rates(type(self).__name__, self.model, {} if logs is None else logs)

    def _rate(self, epoch: int, present: float) -> float:
        both = _accepts_two(self.schedule)
        rate: Any = self.schedule(epoch, present) if both else self.schedule(epoch)
        scalar = isinstance(rate, (jax.Array, np.ndarray)) and rate.ndim == 0
        number = isinstance(rate, numbers.Real) and not isinstance(rate, (bool, np.bool_))
        if not (number or scalar) or not 0.0 <= float(rate) < math.inf:
            raise errors.invalid(
                type(self).__name__,
                "the output of schedule",
                "a float, finite and not negative",
                rate,
                f"It was called with epoch {epoch}.",
            )
        return float(rate)


def _accepts_two(function: Callable[..., Any]) -> bool:
    """Whether `function(epoch, rate)` is a possible call."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True
