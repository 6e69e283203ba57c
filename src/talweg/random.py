"""Keras's `random`: draws from seeds, and the generator of seeds."""

from talweg.core.random import SeedGenerator
from talweg.core.serialization import Catalog
from talweg.ops.random import (
    beta,
    binomial,
    categorical,
    dropout,
    gamma,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

_catalog = Catalog("seed generator", globals(), object, module="keras.random", only_classes=True)
