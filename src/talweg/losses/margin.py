"""Margins: the hinge losses, and the circle loss of metric learning."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.losses.base import Reduction
from talweg.losses.checks import require_whole
from talweg.losses.wrapper import ExportedLoss
from talweg.ops import objectives
from talweg.ops.targets import Shape, floating, label_shape, refuse_labels


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Array:
    """softplus(ln Σₚ e^{γ αₚ (dₚ − m)} + ln Σₙ e^{γ αₙ (1 − m − dₙ)}) for each anchor.

    d are cosine distances to embeddings of the same class (p) and of others (n), with
    αₚ = m + d and αₙ = max(1 + m − d, 0). An anchor without a positive or without a
    negative has loss 0 and gradient 0. Sun et al., CVPR 2020, arXiv:2002.10857.

    Args:
        y_true: integer labels, (n,) or (n, 1).
        y_pred: embeddings of length 1, (n, d).
        ref_labels, ref_embeddings: what to compare with, (k,) and (k, d); the batch itself
            by default.
        remove_diagonal: do not compare an embedding with itself.

    >>> e = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> circle([0, 0, 1], e).shape
    (3,)
    """
    y_pred = floating(y_pred)
    y_true = jnp.asarray(y_true)
    label_shape(y_true.shape, y_pred.shape, "circle")
    labels = y_true.reshape(-1).astype("int32")
    references = y_pred if ref_embeddings is None else floating(ref_embeddings)
    others = labels if ref_labels is None else jnp.asarray(ref_labels).reshape(-1).astype("int32")
    distance = jnp.maximum(1.0 - y_pred @ references.T, 0.0)
    positive = labels[:, None] == others[None, :]
    negative = ~positive
    if remove_diagonal:
        positive &= ~jnp.eye(*positive.shape, dtype=bool)
    p = gamma * (margin + distance) * (distance - margin)
    n = gamma * jnp.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    complete = positive.any(axis=1) & negative.any(axis=1)
    # Rows without a pair keep finite sums, else 0 · ∞ would enter the gradient.
    total = _masked_logsumexp(p, positive, complete) + _masked_logsumexp(n, negative, complete)
    return jnp.where(complete, jax.nn.softplus(total), 0.0)


def _masked_logsumexp(x: Array, mask: Array, complete: Array) -> Array:
    return jax.nn.logsumexp(jnp.where(mask | ~complete[:, None], x, -jnp.inf), axis=1)


class Hinge(ExportedLoss):
    """Mean of max(1 − y_true y_pred, 0), y_true ±1 or {0, 1}; arguments as `Loss`.

    >>> float(Hinge()([[-1.0], [1.0]], [[0.5], [0.5]]))
    1.0
    """

    formula = staticmethod(objectives.hinge)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class SquaredHinge(ExportedLoss):
    """Mean of max(1 − y_true y_pred, 0)², y_true ±1 or {0, 1}; arguments as `Loss`.

    >>> float(SquaredHinge()([[-1.0], [1.0]], [[0.5], [0.5]]))
    1.25
    """

    formula = staticmethod(objectives.squared_hinge)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class CategoricalHinge(ExportedLoss):
    """Hinge between the true class and the best other one, y_true one-hot; as `Loss`.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.25, 0.5]]))
    0.75
    """

    formula = staticmethod(objectives.categorical_hinge)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        refuse_labels(y_true.shape, y_pred, type(self).__name__)
        super().check_shape(y_true, y_pred)


class Circle(ExportedLoss):
    """Circle loss over the pairs of a batch of embeddings; other arguments as `Loss`.

    Means are over the anchors whose loss is above 0.

    Args:
        gamma: scale of the exponents; positive.
        margin: m, the relaxation; in [0, 1].
        remove_diagonal: do not compare an embedding with itself.

    Raises:
        ValueError: gamma or margin is out of range.

    >>> e = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> float(Circle()([0, 0, 1], e)) > 0
    True
    """

    formula = staticmethod(circle)
    ranges: ClassVar = {"gamma": "(0, inf)", "margin": "[0, 1]"}
    labels = True

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        super().__init__(
            reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal
        )

    def counted(self, y_true: Any, values: Array) -> Array:
        return values > 0

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        label_shape(y_true.shape, y_pred, type(self).__name__)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_whole(y_true, type(self).__name__)
