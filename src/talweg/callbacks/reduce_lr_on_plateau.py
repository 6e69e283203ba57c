"""Lowering the rate when a number no longer improves."""

import math
from typing import Any

import numpy as np

from talweg.callbacks import console
from talweg.callbacks.base import Logs
from talweg.callbacks.monitor_callback import MonitorCallback, check_number
from talweg.callbacks.rates import log_rates, optimizers_of, set_rate
from talweg.core import errors


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a number has stopped improving.

    The rate is that of the next step, all factors included. Where the optimizer has a
    schedule, its multiplier is reduced (Keras raises a TypeError). Epochs in which the
    number is NaN are passed over (in Keras they lower the rate to `min_lr`).

    Args:
        monitor: the key of the number in the logs.
        factor: new rate = rate · factor; in [0, 1).
        patience: epochs without improvement after which to reduce.
        verbose: 1 prints what is done.
        mode: "min", "max", or "auto" (a loss falls, a metric of the model knows).
        min_delta: how much better a value must be to count as an improvement.
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: the lowest rate.

    Raises:
        ValueError: a factor outside [0, 1), a negative patience, cooldown or min_lr, or a
            direction that "auto" cannot tell.

    >>> ReduceLROnPlateau(factor=0.5, patience=3).factor
    0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        owner = type(self).__name__
        self.factor = check_number(owner, "factor", factor)
        if factor >= 1.0:
            raise errors.invalid(owner, "factor", "in [0, 1)", factor, "0.1 and 0.5 are usual.")
        self.patience = check_number(owner, "patience", patience)
        self.cooldown = check_number(owner, "cooldown", cooldown)
        self.min_lr = check_number(owner, "min_lr", min_lr)
        self.verbose = verbose
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        log_rates(type(self).__name__, self.model, logs)
        value = self.current(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if math.isnan(value):
            return
        if self.is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Lower the rates that are above the lowest; whether there was one."""
        owner = type(self).__name__
        reduced = False
        for label, optimizer in optimizers_of(owner, self.model):
            rate = float(optimizer.rate)
            # Rates are float32: a rate that was set to min_lr reads as its nearest one.
            if not rate > np.float32(self.min_lr):
                continue
            lower = max(rate * self.factor, self.min_lr)
            set_rate(owner, optimizer, lower)
            reduced = True
            if self.verbose > 0:
                whose = f"{label} learning rate" if label else "learning rate"
                console.say(f"\nEpoch {epoch + 1}: {owner} reducing {whose} to {lower}.")
        return reduced

    def state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "wait": self.wait,
            "cooldown_counter": self.cooldown_counter,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self.wait = int(state["wait"])
        self.cooldown_counter = int(state["cooldown_counter"])
