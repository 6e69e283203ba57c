"""A callback that halves the rate every few epochs."""

from typing import Any, ClassVar, Literal

from talweg.callbacks import Callback


class HalveRate(Callback):
    """Halves the rate every `period` epochs, over whatever schedule there is.

    Args:
        period: how many epochs lie between two changes.

    >>> HalveRate(period=3).period
    3
    """

    # What batch hooks look at, if there are any: "logs" lets the engine keep its blocks.
    reads: ClassVar[Literal["logs", "weights"]] = "logs"

    def __init__(self, period: int = 2):
        super().__init__()
        self.period = period
        self.halved = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.halved = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.period == 0:
            self.model.optimizer.rate_multiplier *= 0.5
            self.halved += 1

    def state(self) -> dict[str, Any]:
        return {"halved": self.halved}

    def restore(self, state: dict[str, Any]) -> None:
        self.halved = int(state["halved"])
