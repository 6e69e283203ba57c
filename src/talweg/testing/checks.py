"""All checks of a battery at once, and the batteries as tuples of checks."""

from collections.abc import Callable, Sequence
from typing import Any

from talweg.testing.callbacks import CALLBACK
from talweg.testing.layers import layer_checks
from talweg.testing.objectives import LOSS, METRIC
from talweg.testing.optimizer_faces import FACES
from talweg.testing.optimizer_laws import LAWS
from talweg.testing.schedules import SCHEDULE

__all__ = [
    "CALLBACK",
    "LOSS",
    "METRIC",
    "OPTIMIZER",
    "SCHEDULE",
    "callback",
    "layer",
    "layer_checks",
    "loss",
    "metric",
    "optimizer",
    "schedule",
]

OPTIMIZER = (*LAWS, *FACES)


def optimizer(make: Callable[..., Any]) -> None:
    """Everything that must hold for an optimizer.

    Args:
        make: the class, or a function that takes the declared arguments by name.

    Raises:
        AssertionError: names the check that fails.
    """
    _run(OPTIMIZER, make)


def schedule(make: Callable[[], Any]) -> None:
    """Everything that must hold for a schedule; `make()` returns one.

    >>> from talweg.optimizers.schedules import CosineDecay
    >>> schedule(lambda: CosineDecay(0.1, 100))
    """
    _run(SCHEDULE, make)


def callback(make: Callable[[], Any]) -> None:
    """Everything that must hold for a callback; `make()` returns one."""
    _run(CALLBACK, make)


def layer(make: Callable[[], Any], *input_shapes: Sequence[int]) -> None:
    """Everything that must hold for a layer.

    Args:
        make: returns a new layer.
        input_shapes: the shape of each input, the batch axis included.
    """
    _run(layer_checks(*input_shapes), make)


def loss(make: Callable[[], Any]) -> None:
    """Everything that must hold for a loss that compares real numbers.

    >>> from talweg.losses import MeanSquaredError
    >>> loss(MeanSquaredError)
    """
    _run(LOSS, make)


def metric(make: Callable[[], Any]) -> None:
    """Everything that must hold for a metric of targets and predictions in [0, 1].

    >>> from talweg.metrics import MeanSquaredError
    >>> metric(MeanSquaredError)
    """
    _run(METRIC, make)


def _run(battery: Sequence[Callable[[Any], None]], make: Any) -> None:
    for check in battery:
        try:
            check(make)
        except AssertionError as error:
            label = getattr(make, "__name__", repr(make))
            raise AssertionError(f"{label} fails {check.__name__}: {error}") from error
