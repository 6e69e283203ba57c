"""Focal cross-entropies: samples that are easy count less. Lin et al., arXiv:1708.02002."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from talweg.ops.objectives import binary_terms, clip_probability, one_hot_targets
from talweg.ops.targets import conform


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Mean of (1 − pₜ)^γ · binary cross-entropy, pₜ = t p + (1 − t)(1 − p).

    Lin et al., ICCV 2017, arXiv:1708.02002.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: as `binary_crossentropy`.
        apply_class_balancing: weigh ones by alpha and zeros by 1 − alpha.
        gamma: 0 is the plain cross-entropy.

    >>> round(float(binary_focal_crossentropy([[1.0]], [[0.5]])[0]), 4)
    0.1733
    """
    y_true, y_pred = conform(y_true, y_pred, "binary_focal_crossentropy")
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    p = jax.nn.sigmoid(y_pred) if from_logits else y_pred
    agreement = y_true * p + (1.0 - y_true) * (1.0 - p)
    loss = jnp.power(1.0 - agreement, gamma) * binary_terms(y_true, p, from_logits=False)
    if apply_class_balancing:
        loss = loss * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return jnp.mean(loss, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """−Σ α (1 − p)^γ t ln p over the classes. Lin et al., ICCV 2017, arXiv:1708.02002.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: as `categorical_crossentropy`.
        alpha: a weight, or one per class.
        gamma: 0 is the plain cross-entropy times alpha.

    >>> round(float(categorical_focal_crossentropy([[0, 1]], [[0.5, 0.5]])[0]), 4)
    0.0433
    """
    y_true, y_pred = one_hot_targets(
        y_true, y_pred, label_smoothing, axis, "categorical_focal_crossentropy"
    )
    p = jax.nn.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = clip_probability(p / jnp.sum(p, axis=axis, keepdims=True))
    weight = jnp.power(1.0 - p, gamma) * jnp.asarray(alpha, p.dtype)
    return -jnp.sum(weight * y_true * jnp.log(p), axis=axis)
