"""The record of a training run."""

from collections.abc import Iterable
from typing import Any

from talweg.callbacks.base import Callback, Logs
from talweg.core.events import EpochDone, Event, RunStarted


class History(Callback):
    """Collects the logs of every epoch; `fit` adds one and returns it.

    Attributes:
        history: a list of values, one per epoch, by the name of the metric.
        epoch: the epochs, counted from 0.
        params: "verbose", "epochs" and "steps" of the run.

    >>> history = History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history, history.epoch
    ({'loss': [0.5]}, [0])
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """The history of the last run in a log of events, as `fit` would have returned it.

        >>> from talweg.core.events import EpochDone
        >>> History.of([EpochDone(step=8, epoch=0, logs={"loss": 0.5})]).history
        {'loss': [0.5]}
        """
        history = cls()
        for event in events:
            if isinstance(event, RunStarted):
                history = cls()
            elif isinstance(event, EpochDone):
                history.on_epoch_end(event.epoch, event.logs)
        return history

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def state(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {k: list(v) for k, v in self.history.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        self.epoch = list(state["epoch"])
        self.history = {name: list(values) for name, values in state["history"].items()}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
