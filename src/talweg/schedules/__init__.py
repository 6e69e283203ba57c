"""Learning rate schedules, public as `talweg.optimizers.schedules`."""

from collections.abc import Mapping
from typing import Any

from talweg.core.serialization import Catalog
from talweg.schedules.base import LearningRateSchedule
from talweg.schedules.cosine import CosineDecay, CosineDecayRestarts
from talweg.schedules.exponential import ExponentialDecay, InverseTimeDecay
from talweg.schedules.piecewise import PiecewiseConstantDecay
from talweg.schedules.polynomial import PolynomialDecay

__all__ = [
    "LearningRateSchedule",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "CosineDecay",
    "CosineDecayRestarts",
    "serialize",
    "deserialize",
]

_catalog = Catalog("schedule", globals(), LearningRateSchedule, module="keras.optimizers.schedules")


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The JSON-ready record of a schedule, as Keras writes it.

    >>> serialize(CosineDecay(0.1, 100))["module"]
    'keras.optimizers.schedules'
    """
    return _catalog.serialize(learning_rate_schedule)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule that a record describes.

    Args:
        config: what `serialize` returned, or Keras's own function of that name.
        custom_objects: the user's classes by name, for schedules of their own.

    Raises:
        ValueError: the record names no known schedule.

    >>> deserialize(serialize(CosineDecay(0.1, 100))).decay_steps
    100
    """
    return _catalog.deserialize(config, custom_objects)
