"""Cross-entropies of one class among many, one-hot or as an integer label."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.core import errors
from talweg.losses.base import Reduction
from talweg.losses.checks import require_labels
from talweg.losses.wrapper import ExportedLoss
from talweg.ops import objectives
from talweg.ops.focal import categorical_focal_crossentropy
from talweg.ops.targets import Shape, conform_labels, label_shape, refuse_labels


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Array:
    """(1 − p^q) / q, p the probability of the labelled class; for noisy labels.

    Near −ln p as q goes to 0, 1 − p at q = 1. Zhang & Sabuncu, NeurIPS 2018,
    arXiv:1805.07836. A label outside 0 … C−1 gives NaN.

    Args:
        y_true: integer labels, (…,) or (…, 1).
        y_pred: probabilities, (…, C).
        q: in (0, 1).

    >>> round(float(categorical_generalized_cross_entropy([1], [[0.75, 0.25]])[0]), 4)
    1.0
    """
    labels, y_pred = conform_labels(y_true, y_pred, "categorical_generalized_cross_entropy")
    classes = y_pred.shape[-1]
    p = jnp.sum(jnp.where(jax.nn.one_hot(labels, classes, dtype=bool), y_pred, 0.0), axis=-1)
    # At p = 0 the power's slope is infinite; softmax does reach 0 in float32.
    loss = (1.0 - jnp.power(jnp.maximum(p, jnp.finfo(p.dtype).tiny), q)) / q
    return jnp.where((labels >= 0) & (labels < classes), loss, jnp.nan)


class _OneHot(ExportedLoss):
    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        owner = type(self).__name__
        refuse_labels(y_true.shape, y_pred, owner)
        if y_pred and y_pred[-1] == 1:
            raise errors.invalid(
                owner,
                "y_pred",
                "of at least 2 classes",
                y_pred,
                "One class has probability 1 always; use binary_crossentropy with 1 unit.",
            )
        super().check_shape(y_true, y_pred)


class CategoricalCrossentropy(_OneHot):
    """−Σ t ln p over the classes, t one-hot or soft; other arguments as `Loss`.

    Args:
        from_logits: predictions are logits, not probabilities.
        label_smoothing: s in [0, 1] turns t into (1 − s) t + s / C.
        axis: the axis of the classes.

    Raises:
        ValueError: label_smoothing is outside [0, 1].

    >>> round(float(CategoricalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 4)
    0.6931
    """

    formula = staticmethod(objectives.categorical_crossentropy)
    ranges: ClassVar = {"label_smoothing": "[0, 1]"}

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(_OneHot):
    """Categorical cross-entropy that counts easy samples less; other arguments as `Loss`.

    Args:
        alpha: a weight, or one per class.
        gamma: the focus, at least 0.
        from_logits, label_smoothing, axis: as `CategoricalCrossentropy`.

    Raises:
        ValueError: gamma or label_smoothing is out of range.

    >>> round(float(CategoricalFocalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 4)
    0.0433
    """

    formula = staticmethod(categorical_focal_crossentropy)
    ranges: ClassVar = {"gamma": "[0, inf)", "label_smoothing": "[0, 1]"}

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(ExportedLoss):
    """−ln p of the labelled class; other arguments as `Loss`.

    Labels (n,) or (n, 1) go with predictions (n, C), (n, T) or (n, T, 1) with (n, T, C).
    The check refuses labels outside 0 … C−1 and labels with a fraction, which Keras
    silently drops and truncates; inside a step such a label gives NaN.

    Args:
        from_logits: predictions are logits, not probabilities.
        ignore_class: a label whose rows do not count; means are over the others.
        axis: the axis of the classes.

    >>> round(float(SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.5, 0.5]])), 4)
    0.6931
    """

    formula = staticmethod(objectives.sparse_categorical_crossentropy)
    unlisted = ("axis",)
    labels = True
    ignore_class: int | None
    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis
        )

    def counted(self, y_true: Any, values: Array) -> Array | None:
        if self.ignore_class is None:
            return None
        return (y_true.astype("int32") != self.ignore_class).reshape(values.shape)

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        label_shape(y_true.shape, y_pred, type(self).__name__, self.axis)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        classes = output_shape[self.axis]
        require_labels(y_true, type(self).__name__, classes, self.ignore_class)


class CategoricalGeneralizedCrossEntropy(ExportedLoss):
    """(1 − p^q) / q of the labelled class's probability p; other arguments as `Loss`.

    Args:
        q: in (0, 1); nearer 1 is more robust to wrong labels.

    Raises:
        ValueError: q is outside (0, 1).

    >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
    1.0
    """

    formula = staticmethod(categorical_generalized_cross_entropy)
    ranges: ClassVar = {"q": "(0, 1)"}
    labels = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype, q=q)

    @property
    def expects_probabilities(self) -> bool:
        return True

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        label_shape(y_true.shape, y_pred, type(self).__name__)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_labels(y_true, type(self).__name__, output_shape[-1])
