"""Means of the losses between distributions: cross-entropies, divergence, Poisson."""

from typing import Any

import jax.numpy as jnp

from talweg.metrics.reduction import NamedMean
from talweg.ops import objectives, targets


class BinaryCrossentropy(NamedMean):
    """The mean of `-y log p - (1 - y) log(1 - p)`.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are drawn to 0.5, in [0, 1].

    >>> round(float(BinaryCrossentropy()([[0.0], [1.0]], [[0.4], [0.6]])), 4)
    0.5108
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            objectives.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(NamedMean):
    """The mean of `-Σ_c y_c log p_c` for one-hot labels.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are drawn to uniform, in [0, 1].
        axis: the axis of the classes.

    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.05, 0.95]])), 4)
    0.0513
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            objectives.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(NamedMean):
    """The mean of `-log p_y` for labels that are indices of classes.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        from_logits: whether predictions are logits instead of probabilities.
        ignore_class: the index whose samples add 0 to the sum. As in Keras they are left
            out of the count too where there are weights, and counted where there are none.
        axis: the axis of the classes.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.05, 0.95]])), 4)
    0.0513
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            objectives.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.ignore_class is not None and sample_weight is not None:
            labels, _ = targets.conform_labels(y_true, y_pred, self.name, self.axis)
            weight = jnp.asarray(sample_weight, self.dtype)
            weight = weight.reshape(weight.shape + (1,) * (labels.ndim - weight.ndim))
            sample_weight = jnp.where(labels != self.ignore_class, weight, 0)
        super().update_state(y_true, y_pred, sample_weight)


class KLDivergence(NamedMean):
    """The mean of `Σ_c y_c log(y_c / p_c)`.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(objectives.kl_divergence, name, dtype)


class Poisson(NamedMean):
    """The mean of `p - y log p`, the Poisson loss without its constant.

    >>> float(Poisson()([[0.0]], [[2.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(objectives.poisson, name, dtype)
