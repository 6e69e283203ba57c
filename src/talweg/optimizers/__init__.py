"""Optimizers: one paper, one file, one export line here."""

from typing import Any

from talweg.core.serialization import Catalog
from talweg.optimizers import schedules
from talweg.optimizers.adagrad import Adagrad
from talweg.optimizers.adam import Adam
from talweg.optimizers.base import Optimizer
from talweg.optimizers.functional import OptimizerState
from talweg.optimizers.nadam import Nadam
from talweg.optimizers.rmsprop import RMSprop
from talweg.optimizers.sgd import SGD

__all__ = [
    "Optimizer",
    "OptimizerState",
    "SGD",
    "RMSprop",
    "Adam",
    "Adagrad",
    "Nadam",
    "schedules",
    "get",
    "serialize",
    "deserialize",
]

catalog = Catalog("optimizer", globals(), Optimizer)


def get(identifier: Any) -> Optimizer:
    """An optimizer from a name ("adam"), a config, a class, or an optimizer itself."""
    found = catalog.get(identifier)
    if not isinstance(found, Optimizer):
        raise TypeError(f"Expected an optimizer or its name, got {identifier!r}.")
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The record of an optimizer: its class and its config."""
    return catalog.serialize(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Optimizer:
    """The optimizer that a record describes."""
    return catalog.deserialize(config, custom_objects)
