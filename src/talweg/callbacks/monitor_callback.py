"""What EarlyStopping, ReduceLROnPlateau and their like share: is this better?"""

import math
import warnings
from collections.abc import Iterable
from typing import Any

from talweg.callbacks.base import Callback, Logs
from talweg.core import errors


class MonitorCallback(Callback):
    """The base of callbacks that watch one number of the logs.

    A NaN is never an improvement, so never the best; the first one is warned about.

    Args:
        monitor: the key of the number in the logs.
        mode: "min", "max", or "auto": a loss is better when lower; a metric of the model
            knows by itself.
        baseline: the best value so far; None takes the first one.
        min_delta: how much better a value must be to count; its sign does not matter.

    Raises:
        ValueError: with "auto", at the end of the first epoch, where the direction of
            `monitor` is not known.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode must be 'auto', 'min' or 'max', got {mode!r}. "
                "It is taken as 'auto'.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = check_number(type(self).__name__, "min_delta", min_delta, signed=True)
        self.min_delta = abs(self.min_delta)
        self._lower_is_better: bool | None = None
        self._warned_of_nan = False

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`."""
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        if self._lower():
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def current(self, logs: Logs) -> float | None:
        """The number that is watched; None, with a warning, where the logs lack it."""
        self._lower()
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            known = ", ".join(logs)
            warnings.warn(
                f"{type(self).__name__}: the logs have no {self.monitor!r}, so nothing is "
                f"decided. They have: {known}.",
                stacklevel=3,
            )
            return None
        value = float(value)
        if math.isnan(value) and not self._warned_of_nan:
            self._warned_of_nan = True
            warnings.warn(
                f"{type(self).__name__}: {self.monitor!r} is NaN. NaN is no improvement and "
                "never the best value.",
                stacklevel=3,
            )
        return value

    def _lower(self) -> bool:
        """Whether lower is better; found out late, when the model's metrics are built."""
        if self._lower_is_better is None:
            self._lower_is_better = self._direction() == "down"
        return self._lower_is_better

    def _direction(self) -> str:
        if self.mode != "auto":
            return "down" if self.mode == "min" else "up"
        name = self.monitor.removeprefix("val_")
        for metric in _flat(getattr(self.model, "metrics", ())):
            direction = getattr(metric, "_direction", None)
            if getattr(metric, "name", None) == name and direction is not None:
                return direction
        if name == "loss" or name.endswith("_loss"):
            return "down"
        raise errors.invalid(
            type(self).__name__,
            "mode",
            f"'min' or 'max' for monitor={self.monitor!r}",
            self.mode,
            "Whether lower or higher is better cannot be told from that name.",
        )


def _flat(metrics: Iterable[Any]) -> Iterable[Any]:
    for metric in metrics:
        yield metric
        yield from _flat(getattr(metric, "metrics", None) or ())


def check_number(owner: str, name: str, value: Any, *, signed: bool = False) -> float:
    """`value`, which must be a finite number, and not negative unless `signed`.

    Raises:
        ValueError: NaN, infinite, or negative.
        TypeError: no number.
    """
    expected = "a finite number" if signed else "a finite number, not negative"
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise errors.wrong_type(owner, name, expected, value)
    if not math.isfinite(value) or (value < 0 and not signed):
        raise errors.invalid(owner, name, expected, value)
    return value
