"""Stopping when a number no longer improves."""

import warnings
from typing import Any

from talweg.callbacks import console
from talweg.callbacks.base import Logs
from talweg.callbacks.monitor_callback import MonitorCallback, check_number


class EarlyStopping(MonitorCallback):
    """Stops the training when a number of the logs has stopped improving.

    An epoch in which the number is NaN counts as one without improvement; NaN is never the
    best value (in Keras a NaN in the first epoch is, and nothing ever beats it).

    Args:
        monitor: the key of the number in the logs.
        min_delta: how much better a value must be to count as an improvement.
        patience: epochs without improvement after which to stop.
        verbose: 1 prints what is done.
        mode: "min", "max", or "auto" (a loss falls, a metric of the model knows).
        baseline: a value to beat: only improvements beyond it restart the patience.
        restore_best_weights: whether the model ends with the weights of its best epoch.
        start_from_epoch: epochs to let pass before watching.

    Attributes:
        stopped_epoch: the epoch of the stop, counted from 0; 0 where there was none.
        best_weights: the weights of the best epoch, NumPy arrays. They are not part of
            `state()`: a checkpoint keeps them beside it and assigns them after `restore`.

    Raises:
        ValueError: a negative patience, or a direction that "auto" cannot tell.

    >>> EarlyStopping(monitor="loss", patience=3).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = check_number(type(self).__name__, "patience", patience)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_improvement(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            console.say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if not self.restore_best_weights:
            return
        if self.best_weights is not None:
            if self.verbose > 0:
                console.say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
        elif self.best is not None:
            warnings.warn(
                f"EarlyStopping: the best epoch was {self.best_epoch + 1}, before this run was "
                "resumed, and its weights were not kept: the model keeps its last weights.",
                stacklevel=2,
            )

    def state(self) -> dict[str, Any]:
        return {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.wait = int(state["wait"])
        self.stopped_epoch = int(state["stopped_epoch"])
        self.best = state["best"]
        self.best_epoch = int(state["best_epoch"])
