"""Counts of right and wrong positives and negatives, at one threshold or many.

A prediction is positive at threshold t where it is above t. For evenly spaced thresholds a
histogram of the predictions and its sums from above give all of them at once, in time that
does not grow with their number; for others every pair is compared.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors
from talweg.ops import targets

Array = jax.Array

# What the scores outside of the k largest become; far below any threshold.
BELOW_ALL = -1e10


class Counts(NamedTuple):
    """(thresholds,) each, or (thresholds, labels) where labels are kept apart."""

    true_positives: Array
    false_positives: Array
    true_negatives: Array
    false_negatives: Array


def checked_thresholds(owner: str, thresholds: Any, default: float) -> list[float]:
    """A list of thresholds from None, a number or several.

    Raises:
        ValueError: one of them is outside of [0, 1].
    """
    if thresholds is None:
        return [default]
    listed = isinstance(thresholds, (list, tuple, np.ndarray))
    several = list(thresholds) if listed else [thresholds]
    for threshold in several:
        if threshold is None or not 0 <= threshold <= 1:
            raise errors.invalid(owner, "thresholds", "in [0, 1]", threshold)
    return several


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether these are three or more steps of one size from 0 to 1."""
    if len(thresholds) < 3:
        return False
    return np.allclose(thresholds, np.linspace(0, 1, len(thresholds)), atol=config.epsilon())


def spaced_thresholds(number: int) -> list[float]:
    """`number` steps of one size from 0 to 1."""
    inner = [(i + 1) / (number - 1) for i in range(number - 2)]
    return [0.0, *inner, 1.0]


def count(
    owner: str,
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    *,
    evenly: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
    per_label: bool = False,
    label_weights: Any = None,
) -> Counts:
    """The (weighted) counts of one batch; unused ones cost nothing once compiled.

    Args:
        owner: who asks, for messages.
        y_true: labels, 0 or not, (n, ...).
        y_pred: probabilities, of the same shape.
        thresholds: numbers in ascending order where `evenly`.
        sample_weight: (n,), or of the labels' shape.
        evenly: whether the thresholds are evenly spaced from 0 to 1; ends just outside
            count every prediction in.
        top_k: take only the k largest of each row for positive.
        class_id: look at one column only.
        per_label: keep the last axis apart.
        label_weights: (labels,), a weight for each column.

    Raises:
        ValueError: the shapes do not fit.
    """
    y_true, y_pred = targets.conform(y_true, y_pred, owner)
    floatx = config.floatx()
    y_pred = y_pred.astype(floatx)
    positive = y_true.astype(bool)
    weights = _spread_weights(owner, sample_weight, y_pred.shape, floatx)
    if label_weights is not None:
        columns = jnp.broadcast_to(jnp.asarray(label_weights, floatx), y_pred.shape)
        weights = columns if weights is None else weights * columns
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1 or not -y_pred.shape[-1] <= class_id < y_pred.shape[-1]:
            raise errors.invalid(
                owner, "class_id", f"a column of y_pred, of shape {y_pred.shape}", class_id
            )
        positive, y_pred = positive[..., class_id], y_pred[..., class_id]
        weights = None if weights is None else weights[..., class_id]

    labels = y_pred.shape[-1] if per_label else 1
    is_true, scores = positive.reshape(-1, labels), y_pred.reshape(-1, labels)
    weight = 1.0 if weights is None else weights.reshape(-1, labels)
    true = jnp.where(is_true, weight, 0.0).astype(floatx)
    false = jnp.where(is_true, 0.0, weight).astype(floatx)
    above = _above_even if evenly else _above
    tp, all_true = above(scores, true, thresholds)
    fp, all_false = above(scores, false, thresholds)
    counts = Counts(tp, fp, all_false - fp, all_true - tp)
    return counts if per_label else Counts(*(one[:, 0] for one in counts))


def _above(scores: Array, weights: Array, thresholds: Sequence[float]) -> tuple[Array, Array]:
    """The weight above each threshold (thresholds, labels), and in all (labels,)."""
    levels = jnp.asarray(np.asarray(thresholds, np.float64), scores.dtype)[:, None, None]
    over = jnp.sum(jnp.where(scores > levels, weights, 0.0), axis=1)
    return over, jnp.sum(weights, axis=0)


def _above_even(scores: Array, weights: Array, thresholds: Sequence[float]) -> tuple[Array, Array]:
    number, labels = len(thresholds), scores.shape[1]
    # How many thresholds lie below the score: the bin of the histogram.
    steps = jnp.ceil(jnp.clip(scores, 0.0, 1.0) * (number - 1))
    if thresholds[0] < 0:
        steps = jnp.maximum(steps, 1)
    bins = steps.astype("int32") * labels + jnp.arange(labels)
    histogram = jax.ops.segment_sum(
        weights.reshape(-1), bins.reshape(-1), num_segments=(number + 1) * labels
    )
    from_above = jnp.cumsum(histogram.reshape(-1, labels)[::-1], axis=0)[::-1]
    return from_above[1:], from_above[0]


def _spread_weights(
    owner: str, sample_weight: Any, shape: tuple[int, ...], dtype: str
) -> Array | None:
    if sample_weight is None:
        return None
    weights = jnp.asarray(sample_weight, dtype)
    if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    leading = weights.reshape(weights.shape + (1,) * max(0, len(shape) - weights.ndim))
    try:
        return jnp.broadcast_to(leading, shape)
    except ValueError:
        raise errors.invalid(
            owner,
            "sample_weight",
            f"one per sample, or of the labels' shape {shape}",
            weights.shape,
        ) from None


def _only_top_k(scores: Array, k: int) -> Array:
    """Scores with all but the k largest of each row below every threshold."""
    _, best = jax.lax.top_k(scores, min(k, math.prod(scores.shape[-1:])))
    chosen = jnp.sum(jax.nn.one_hot(best, scores.shape[-1], dtype=scores.dtype), axis=-2)
    return jnp.where(chosen > 0, scores, BELOW_ALL)
