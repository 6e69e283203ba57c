"""The same model in Keras and in talweg: one source text, the same weights, the same data."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

import talweg

ROWS = 53


class Twins(NamedTuple):
    """A Keras model and its talweg twin, with equal weights."""

    keras: Any
    talweg: Any

    def each(self) -> list[tuple[Any, Any]]:
        """Pairs of a namespace and the model made with it."""
        return [(keras, self.keras), (talweg, self.talweg)]


def twins(build: Callable[[Any], Any], x: Any = None) -> Twins:
    """`build(namespace)` run with `keras` and with `talweg`; weights copied over.

    Args:
        build: makes a compiled model from a namespace.
        x: inputs to build subclassed models on.
    """
    keras.utils.set_random_seed(0)
    reference, model = build(keras), build(talweg)
    if x is not None:
        reference(x)
        model(x)
    model.set_weights(reference.get_weights())
    return Twins(reference, model)


def numbers(rows: int = ROWS, features: int = 4, seed: int = 0) -> tuple[Any, Any]:
    """A regression problem: x (rows, features), y (rows, 1)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype("float32")
    return x, (x[:, :1] * 0.7 - x[:, 1:2] + 0.1).astype("float32")


def labels(rows: int = ROWS, features: int = 4, classes: int = 3) -> tuple[Any, Any]:
    """A classification problem: x (rows, features), y (rows,) in 0 … classes - 1."""
    x, _ = numbers(rows, features)
    return x, (np.abs(x[:, 0] * 3).astype("int32") + np.arange(rows)) % classes


def assert_same_weights(pair: Twins, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """All weights agree, in order."""
    ours, theirs = pair.talweg.get_weights(), pair.keras.get_weights()
    assert len(ours) == len(theirs)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=rtol, atol=atol)


def assert_same_history(ours: Any, theirs: Any, rtol: float = 1e-5) -> None:
    """History agrees key by key and in the order of keys, but for the rate, which is ours."""
    mine = {k: v for k, v in ours.history.items() if k != "learning_rate"}
    assert list(mine) == list(theirs.history)
    assert ours.epoch == theirs.epoch
    assert ours.params == theirs.params
    for name, values in theirs.history.items():
        np.testing.assert_allclose(mine[name], values, rtol=rtol, atol=1e-6, err_msg=name)


def despite_the_race(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test up to three times: Keras 3.15.1 on JAX has a race in its added losses.

    About one evaluation in twenty with `add_loss` or an activity regularizer gives Keras
    another loss from the same weights and data. A fault of ours fails all three.
    """

    @functools.wraps(test)
    def repeated(*args: Any, **kwargs: Any) -> None:
        for attempt in range(3):
            try:
                return test(*args, **kwargs)
            except AssertionError:
                if attempt == 2:
                    raise
        return None

    return repeated


def recorder(namespace: Any) -> Any:
    """A callback that writes down each hook with its index and logs."""

    class Recorder(namespace.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.events: list[tuple[str, Any, dict[str, float]]] = []

    def recording(hook: str, indexed: bool) -> Callable[..., None]:
        def indexed_hook(self: Any, index: int, logs: Any = None) -> None:
            self.events.append((hook, int(index), _plain(logs)))

        def plain_hook(self: Any, logs: Any = None) -> None:
            self.events.append((hook, None, _plain(logs)))

        return indexed_hook if indexed else plain_hook

    for phase in ("train", "test", "predict"):
        for end in ("begin", "end"):
            plain, batch = f"on_{phase}_{end}", f"on_{phase}_batch_{end}"
            setattr(Recorder, plain, recording(plain, indexed=False))
            setattr(Recorder, batch, recording(batch, indexed=True))
    for end in ("begin", "end"):
        setattr(Recorder, f"on_epoch_{end}", recording(f"on_epoch_{end}", indexed=True))
    return Recorder()


def _plain(logs: Any) -> dict[str, float]:
    kept = {k: v for k, v in (logs or {}).items() if k not in ("learning_rate", "outputs")}
    return {k: float(v) for k, v in kept.items()}


def assert_same_events(ours: Any, theirs: Any, rtol: float = 1e-5) -> None:
    """The same hooks in the same order with the same logs."""
    assert [event[:2] for event in ours.events] == [event[:2] for event in theirs.events]
    for (hook, index, mine), (_, _, reference) in zip(ours.events, theirs.events, strict=True):
        assert list(mine) == list(reference), (hook, index)
        for name, value in reference.items():
            np.testing.assert_allclose(mine[name], value, rtol, 1e-6, err_msg=f"{hook} {index}")
