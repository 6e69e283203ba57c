"""Many callbacks as one."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.history import History
from talweg.callbacks.progbar_logger import ProgbarLogger
from talweg.core import errors
from talweg.core.events import Event

Granularity = Literal["no", "logs", "weights"]


class CallbackList(Callback):
    """Calls the hooks of many callbacks: the user's in their order, History, the bar.

    Args:
        callbacks: a callback, or a (nested) list of them.
        add_history: whether to append a `History` where there is none.
        add_progbar: whether to append a `ProgbarLogger` where there is none.
        model: the model that they are used with.
        **params: "verbose", "epochs" and "steps", handed to `set_params`.

    Raises:
        TypeError: something in the list is no callback (a class instead of an object, say).

    >>> callbacks = CallbackList([History()], epochs=2, steps=10, verbose=0)
    >>> callbacks.per_step
    'no'
    """

    # The data of the training that is under way.
    batches: Any = None

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks = list(_flat(callbacks))
        self._events: deque[Event] = deque()
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self.set_model(model)
        self.set_params(params)

    @property
    def history(self) -> History | None:
        """The `History` among them."""
        return next((c for c in reversed(self.callbacks) if isinstance(c, History)), None)

    @property
    def has_batch_hooks(self) -> bool:
        return any(callback.has_batch_hooks for callback in self.callbacks)

    @property
    def per_step(self) -> Granularity:
        """What must be had after every training step: nothing, its logs, or the weights."""
        hooked = [c for c in self.callbacks if c.has_batch_hooks]
        if any(c.reads == "weights" and not c.waits for c in hooked):
            return "weights"
        return "logs" if any(c.reads == "logs" for c in hooked) else "no"

    def due_in(self) -> int:
        """How long a block may be for those that look at the model after some of the steps."""
        waiting = [c for c in self.callbacks if c.has_batch_hooks and c.reads == "weights"]
        return max(1, min((callback.due_in() for callback in waiting), default=2**30))

    @property
    def per_test_batch(self) -> bool:
        """Whether a hook of evaluation batches is overridden."""
        hooks = ("on_test_batch_begin", "on_test_batch_end")
        return any(c.overrides(*hooks) for c in self.callbacks)

    @property
    def per_predict_batch(self) -> bool:
        """Whether a hook of prediction batches is overridden."""
        hooks = ("on_predict_batch_begin", "on_predict_batch_end")
        return any(c.overrides(*hooks) for c in self.callbacks)

    @property
    def listens(self) -> bool:
        """Whether anybody wants events."""
        return any(c.overrides("on_event") for c in self.callbacks)

    def on_event(self, event: Event) -> None:
        """Tell all; what they tell in answer comes after it has reached the last of them."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        try:
            while self._events:
                for callback in self.callbacks:
                    callback.on_event(self._events[0])
                self._events.popleft()
        finally:
            self._events.clear()

    @property
    def _looking(self) -> list[Callback]:
        return [callback for callback in self.callbacks if callback.overrides("inside")]

    @property
    def looks(self) -> list[Any]:
        """What callbacks want to see inside a step: `(grads, params, objective) -> values`."""
        return [_Look(c.inside, c.needs_objective) for c in self._looking]

    @property
    def probe_share(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How much of the time looking may take, at the most."""
        return max((callback.probe_share for callback in self._looking), default=0.0)

    def show(self, step: int, loss: float, seen: list[dict[str, Any]]) -> None:
        """Give every callback what it wanted to see."""
        for callback, values in zip(self._looking, seen, strict=True):
            callback.on_probe(step, {"loss": loss, **values})

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        history = self.history
        if history is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def state(self) -> dict[str, Any]:
        """The states of those that have one, by class and position among its like."""
        states = {key: callback.state() for key, callback in self._numbered()}
        return {key: state for key, state in states.items() if state}

    def restore(self, state: dict[str, Any]) -> None:
        for key, callback in self._numbered():
            if key in state:
                callback.restore(state[key])

    def _numbered(self) -> Iterator[tuple[str, Callback]]:
        counts: dict[str, int] = {}
        for callback in self.callbacks:
            name = type(callback).__name__
            counts[name] = counts.get(name, -1) + 1
            yield f"{name}/{counts[name]}", callback

    def on_train_begin(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback._listeners = self
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def epochs_left(self, epochs: range) -> range:
        for callback in self.callbacks:
            epochs = callback.epochs_left(epochs)
        return epochs

    def steps_done(self, epoch: int) -> tuple[int, dict[str, Any]]:
        found = [callback.steps_done(epoch) for callback in self.callbacks]
        return max(found, key=lambda one: one[0], default=(0, {}))

    def on_train_end(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        # What the callbacks print must not land behind the bar.
        console.erase()
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_block_end(self, step: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_block_end(step, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_batch_begin(batch, logs=logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_test_batch_begin(batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs=logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_predict_begin(logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_predict_end(logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_predict_batch_begin(batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = plain(logs)
        for callback in self.callbacks:
            callback.on_predict_batch_end(batch, logs=logs)


@dataclass(frozen=True)
class _Look:
    """A callback's `inside`, equal for the same callback: compiled programs are kept by it."""

    inside: Callable[..., dict[str, Any]]
    needs_objective: bool

    def __call__(self, grads: Any, params: Any, objective: Any) -> dict[str, Any]:
        more = (objective,) if self.needs_objective else ()
        return self.inside(grads, params, *more)


def plain(logs: Logs) -> dict[str, Any]:
    """A new dict with the values as Python floats where they are numbers.

    Keys are sorted, the learning rates last; nested dicts are merged in.

    >>> plain({"learning_rate": 0.1, "val_loss": 2, "loss": 1})
    {'loss': 1.0, 'val_loss': 2.0, 'learning_rate': 0.1}
    """
    result: dict[str, Any] = {}
    for key, value in sorted((logs or {}).items(), key=_position):
        if type(value) is float:
            result[key] = value
        elif isinstance(value, dict):
            result.update(plain(value))
        else:
            try:
                result[key] = float(value)
            except (TypeError, ValueError):
                result[key] = value
    return result


def _position(item: tuple[str, Any]) -> tuple[bool, str]:
    return item[0].startswith("learning_rate"), item[0]


def _flat(callbacks: Any) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, (list, tuple)):
        for item in callbacks:
            yield from _flat(item)
    elif isinstance(callbacks, Callback):
        yield callbacks
    else:
        remedy = "Call the class to make one." if isinstance(callbacks, type) else ""
        raise errors.wrong_type(
            "CallbackList", "callbacks", "Callback objects in a list", callbacks, remedy
        )
