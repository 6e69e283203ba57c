"""Learning rate schedules, public as `talweg.optimizers.schedules`."""

from collections.abc import Mapping
from typing import Any

from talweg.core.serialization import Catalog
from talweg.schedules.base import LearningRateSchedule
from talweg.schedules.cosine import CosineDecay, CosineDecayRestarts
from talweg.schedules.cyclic import Cyclic
from talweg.schedules.exponential import ExponentialDecay, InverseTimeDecay
from talweg.schedules.join import Join, join
from talweg.schedules.linear import Linear
from talweg.schedules.noam import Noam
from talweg.schedules.one_cycle import OneCycle
from talweg.schedules.piecewise import PiecewiseConstantDecay
from talweg.schedules.polynomial import PolynomialDecay
from talweg.schedules.product import Product
from talweg.schedules.rex import REX
from talweg.schedules.staircase import MultiStepDecay, StepDecay
from talweg.schedules.warm_restarts import WarmRestarts
from talweg.schedules.warmup_stable_decay import WarmupStableDecay

__all__ = [
    "LearningRateSchedule",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "CosineDecay",
    "CosineDecayRestarts",
    "Linear",
    "StepDecay",
    "MultiStepDecay",
    "OneCycle",
    "Cyclic",
    "WarmupStableDecay",
    "REX",
    "Noam",
    "WarmRestarts",
    "Join",
    "Product",
    "join",
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
