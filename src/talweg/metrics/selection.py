"""Which metric "accuracy" and "crossentropy" mean, told from the shapes."""

from collections.abc import Sequence
from typing import Any, Literal

from talweg.metrics import accuracy, probabilistic
from talweg.metrics.base import Metric

Kind = Literal["binary", "sparse", "categorical"]

_ACCURACY: dict[Kind, type[Metric]] = {
    "binary": accuracy.BinaryAccuracy,
    "sparse": accuracy.SparseCategoricalAccuracy,
    "categorical": accuracy.CategoricalAccuracy,
}
_CROSSENTROPY: dict[Kind, type[Metric]] = {
    "binary": probabilistic.BinaryCrossentropy,
    "sparse": probabilistic.SparseCategoricalCrossentropy,
    "categorical": probabilistic.CategoricalCrossentropy,
}


def kind_for(y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> Kind:
    """How labels and predictions of these shapes are encoded.

    Binary where there is one prediction per sample; sparse where labels lack the axis of
    the classes or have 1 there; else categorical.

    >>> kind_for((8, 1), (8, 1)), kind_for((8,), (8, 3)), kind_for((8, 3), (8, 3))
    ('binary', 'sparse', 'categorical')
    """
    # Keras takes (n,) predictions for one row of n classes.
    if len(y_pred_shape) < 2 or y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse"
    return "categorical"


def accuracy_for(y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> type[Metric]:
    """The class that "accuracy" means for these shapes.

    >>> accuracy_for((8,), (8, 3)).__name__
    'SparseCategoricalAccuracy'
    """
    return _ACCURACY[kind_for(y_true_shape, y_pred_shape)]


def crossentropy_for(y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> type[Metric]:
    """The class that "crossentropy" means for these shapes; losses have one of that name.

    >>> crossentropy_for((8, 1), (8, 1)).__name__
    'BinaryCrossentropy'
    """
    return _CROSSENTROPY[kind_for(y_true_shape, y_pred_shape)]
