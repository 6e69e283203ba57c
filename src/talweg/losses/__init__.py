"""Losses: what training makes small.

Each has a class, with reduction and options, and a function that gives one value per
sample. `checker` and `expects_probabilities` answer for any of them, and for the user's.
"""

from typing import Any

from talweg.core.serialization import Catalog
from talweg.losses.base import Loss
from talweg.losses.base import reduce_weighted_values as reduce_weighted_values
from talweg.losses.binary import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
)
from talweg.losses.categorical import (
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
    categorical_generalized_cross_entropy,
)
from talweg.losses.ctc import CTC, ctc
from talweg.losses.divergence import KLDivergence, Poisson
from talweg.losses.margin import CategoricalHinge, Circle, Hinge, SquaredHinge, circle
from talweg.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)
from talweg.losses.segmentation import Dice, Tversky, dice, tversky
from talweg.losses.wrapper import LossFunctionWrapper
from talweg.losses.wrapper import checker as checker
from talweg.losses.wrapper import expects_probabilities as expects_probabilities
from talweg.ops.focal import binary_focal_crossentropy, categorical_focal_crossentropy
from talweg.ops.objectives import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)

# `checker`, `expects_probabilities` and `reduce_weighted_values` are no losses: outside
# `__all__`, they cannot be named as one.
__all__ = [
    "Loss",
    "LossFunctionWrapper",
    "MeanSquaredError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "Huber",
    "LogCosh",
    "CosineSimilarity",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalCrossentropy",
    "KLDivergence",
    "Poisson",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
    "Circle",
    "Dice",
    "Tversky",
    "CTC",
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_crossentropy",
    "kl_divergence",
    "poisson",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "circle",
    "dice",
    "tversky",
    "ctc",
    "get",
    "serialize",
    "deserialize",
]

_catalog = Catalog(
    "loss",
    globals(),
    Loss,
    aliases={
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "bce": "binary_crossentropy",
        "kld": "kl_divergence",
        "kullback_leibler_divergence": "kl_divergence",
    },
)


def get(identifier: Any) -> Any:
    """The loss, or loss function, that an identifier names.

    Args:
        identifier: None, a name or alias ("mse", "MeanSquaredError"), a record, a class, or
            a loss or function, which is returned as it is.

    Raises:
        ValueError: nothing has that name.

    >>> get("mse").__name__, get("Huber").name
    ('mean_squared_error', 'huber_loss')
    """
    return _catalog.get(identifier)


def serialize(loss: Any) -> Any:
    """The record of a loss, or the name of a function.

    >>> serialize(Huber())["class_name"]
    'Huber'
    """
    return _catalog.serialize(loss)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The loss that a record or a name describes; the inverse of `serialize`.

    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0
    """
    return _catalog.deserialize(name, custom_objects)
