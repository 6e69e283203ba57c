"""What must hold for any callback."""

import functools
import inspect
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from talweg.callbacks import Callback
from talweg.core.events import RunEnded
from talweg.layers import Dense, Input
from talweg.models import Sequential
from talweg.testing.problems import assert_same

Make = Callable[[], Callback]
EPOCHS = 3


class _EveryStep(Callback):
    """Makes the engine run step by step."""

    reads = "weights"

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


@functools.cache
def _model() -> tuple[Any, list[Any]]:
    """One small compiled model for all checks, and its first weights."""
    model = Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(1)])
    model.compile("adam", loss="mse", metrics=["mae"])
    return model, model.get_weights()


def _fit(*callbacks: Callback) -> tuple[dict[str, Any], list[Any]]:
    """Train the model from its first weights; the history and the weights it ends with."""
    model, weights = _model()
    model.set_weights(weights)
    optimizer = model.optimizer
    if optimizer.built:
        optimizer.set_weights([np.zeros_like(w) for w in optimizer.get_weights()])
    optimizer.learning_rate, optimizer.rate_multiplier = 0.01, 1.0
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    y = (x[:, :1] - x[:, 1:2]).astype("float32")
    history = model.fit(
        x[:32], y[:32], batch_size=8, epochs=EPOCHS, validation_data=(x[32:], y[32:]),
        shuffle=False, verbose=0, callbacks=list(callbacks),
    )  # fmt: skip
    return history.history, model.get_weights()


def every_hook_can_be_called(make: Make) -> None:
    """Hooks take what the engine gives them: a number and logs, by position or name."""
    callback = make()
    for name in dir(Callback):
        if name.startswith("on_"):
            numbers = [0] if "epoch" in name or "batch" in name or "block" in name else []
            hook = getattr(callback, name)
            if name == "on_event":
                inspect.signature(hook).bind(RunEnded(step=0, reason="finished"))
                continue
            if name == "on_probe":
                inspect.signature(hook).bind(0, {"loss": 0.0})
                continue
            inspect.signature(hook).bind(*numbers, {})
            inspect.signature(hook).bind(*numbers, logs={})


def what_it_reads_is_declared(make: Make) -> None:
    """`reads` is "logs" or "weights"."""
    reads = make().reads
    assert reads in ("logs", "weights"), f"reads is {reads!r}"


def blocks_equal_steps(make: Make) -> None:
    """Whether the engine runs in blocks or step by step, the outcome has the same bits."""
    history, weights = _fit(make())
    stepwise, expected = _fit(make(), _EveryStep())
    assert_same(weights, expected, "the weights")
    assert history.keys() == stepwise.keys(), f"{history.keys()} and {stepwise.keys()}"
    assert_same(
        {k: np.asarray(v) for k, v in history.items()},
        {k: np.asarray(v) for k, v in stepwise.items()},
        "the history",
    )


def a_second_run_equals_the_first(make: Make) -> None:
    """The same object can be given to `fit` again: it begins anew."""
    callback = make()
    first, second = _fit(callback), _fit(callback)
    assert_same(second[1], first[1], "the weights")


def state_survives_json(make: Make) -> None:
    """A new object that is given the old one's state continues where it was."""
    callback = make()
    _fit(callback)
    state = json.loads(json.dumps(callback.state()))
    fresh = make()
    fresh.set_model(_model()[0])
    fresh.set_params({"verbose": 0, "epochs": EPOCHS, "steps": 4})
    fresh.on_train_begin({})
    fresh.restore(state)
    restored = json.loads(json.dumps(fresh.state()))
    fresh.on_train_end({})
    assert restored == state, f"{state} became {restored}"


def epochs_without_logs_are_survived(make: Make) -> None:
    """A hook that misses what it watches warns; it does not raise."""
    callback = make()
    callback.set_model(_model()[0])
    callback.set_params({"verbose": 0, "epochs": 1, "steps": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, {})
        callback.on_train_end({})


CALLBACK = (
    every_hook_can_be_called,
    what_it_reads_is_declared,
    blocks_equal_steps,
    a_second_run_equals_the_first,
    state_survives_json,
    epochs_without_logs_are_survived,
)
