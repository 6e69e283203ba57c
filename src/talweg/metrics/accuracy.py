"""How often the prediction is the label: equal, thresholded, or the most likely class."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import config, errors
from talweg.core.dtypes import is_float
from talweg.metrics.reduction import NamedMean
from talweg.ops import targets

Array = jax.Array


def accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where label and prediction are equal, else 0.

    Raises:
        ValueError: the shapes differ by more than a trailing axis of 1.

    >>> accuracy(jnp.array([1, 2, 3]), jnp.array([1, 2, 0])).tolist()
    [1.0, 1.0, 0.0]
    """
    y_true, y_pred = targets.conform(y_true, y_pred, "accuracy")
    return _matches(y_true == y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """1 where the prediction is on the label's side of the threshold, else 0.

    Args:
        y_true: labels 0 and 1, (n,) or (n, ...).
        y_pred: probabilities, or logits with `threshold=0`, of the same shape.
        threshold: above it the prediction is 1.

    Raises:
        ValueError: the shapes differ by more than a trailing axis of 1.

    >>> binary_accuracy(jnp.array([1, 0]), jnp.array([0.9, 0.6])).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = targets.conform(y_true, y_pred, "binary_accuracy")
    return _matches((y_pred > threshold).astype(y_true.dtype) == y_true)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest prediction is at the largest label, else 0.

    Args:
        y_true: one-hot labels, (n, ..., classes).
        y_pred: scores of the same shape.

    Returns:
        Array of shape (n, ...).

    Raises:
        ValueError: the shapes differ.

    >>> categorical_accuracy(jnp.eye(2), jnp.array([[0.2, 0.8], [0.3, 0.7]])).tolist()
    [0.0, 1.0]
    """
    y_true, y_pred = _same_classes("categorical_accuracy", y_true, y_pred)
    return _matches(jnp.argmax(y_true, axis=-1) == jnp.argmax(y_pred, axis=-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest prediction is at the label's index, else 0.

    Args:
        y_true: indices of classes, (n, ...) or (n, ..., 1).
        y_pred: scores, (n, ..., classes).

    Returns:
        Array of shape (n, ...).

    Raises:
        ValueError: the labels are not one per row of scores.

    >>> sparse_categorical_accuracy(jnp.array([1, 0]), jnp.array([[0.2, 0.8], [0.3, 0.7]])).tolist()
    [1.0, 0.0]
    """
    labels, y_pred = _labels("sparse_categorical_accuracy", y_true, y_pred)
    best = jnp.argmax(y_pred, axis=-1)
    return _matches(best.astype(labels.dtype) == labels)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """1 where the true class is among the `k` largest predictions, else 0.

    Ties count in the prediction's favour.

    Args:
        y_true: one-hot labels, (n, ..., classes).
        y_pred: scores of the same shape.
        k: how many of the largest are looked at.

    >>> top_k_categorical_accuracy(jnp.eye(3)[:1], jnp.array([[0.3, 0.5, 0.2]]), k=2).tolist()
    [1.0]
    """
    y_true, y_pred = _same_classes("top_k_categorical_accuracy", y_true, y_pred)
    return _matches(_in_top_k(jnp.argmax(y_true, axis=-1), y_pred, k))


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """1 where the label is among the `k` largest predictions, else 0.

    Args:
        y_true: indices of classes, (n, ...) or (n, ..., 1).
        y_pred: scores, (n, ..., classes); with `from_sorted_ids` the indices of classes,
            best first.
        k: how many of the largest are looked at.
        from_sorted_ids: whether `y_pred` holds indices instead of scores.

    >>> scores = jnp.array([[0.3, 0.5, 0.2]])
    >>> sparse_top_k_categorical_accuracy(jnp.array([2]), scores, k=2).tolist()
    [0.0]
    """
    labels, y_pred = _labels("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        first = y_pred[..., :k]
        return _matches(jnp.any(labels[..., None].astype(first.dtype) == first, axis=-1))
    return _matches(_in_top_k(labels.astype("int32"), y_pred, k))


class Accuracy(NamedMean):
    """The share of predictions that equal their labels.

    >>> float(Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(NamedMean):
    """The share of predictions on the right side of a threshold.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        threshold: above it a prediction is 1; 0 for logits.

    >>> float(BinaryAccuracy()([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: Any = None,
        threshold: float = 0.5,
    ):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(NamedMean):
    """The share of rows whose largest prediction is the class of the one-hot label.

    >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(NamedMean):
    """The share of rows whose largest prediction is at the label's index.

    >>> float(SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(NamedMean):
    """The share of rows whose one-hot label is among the `k` largest predictions.

    Args:
        k: how many of the largest are looked at.
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.

    >>> float(TopKCategoricalAccuracy(k=1)([[0, 1], [1, 0]], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=_count(self, k))
        self.k = k


class SparseTopKCategoricalAccuracy(NamedMean):
    """The share of rows whose label is among the `k` largest predictions.

    Args:
        k: how many of the largest are looked at.
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        from_sorted_ids: whether predictions are indices of classes, best first.

    >>> float(SparseTopKCategoricalAccuracy(k=1)([1, 0], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=_count(self, k),
            from_sorted_ids=from_sorted_ids,
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self.from_sorted_ids:
            del config["from_sorted_ids"]
        return config


def _matches(equal: Array) -> Array:
    return equal.astype(config.floatx())


def _count(metric: Any, k: Any) -> int:
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise errors.invalid(type(metric).__name__, "k", "an integer of at least 1", k)
    return int(k)


def _same_classes(owner: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    if y_true.shape != y_pred.shape or y_pred.ndim == 0:
        raise errors.invalid(
            owner,
            "y_true",
            f"one-hot, of the predictions' shape {y_pred.shape}",
            y_true.shape,
            "For labels that are indices of classes use the sparse form.",
        )
    return y_true, y_pred


def _labels(owner: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Labels, one per row of scores, in a type that holds every index of a class."""
    labels, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    rows = y_pred.shape[:-1]
    if y_pred.ndim == 0 or labels.shape not in (rows, (*rows, 1)):
        raise errors.invalid(
            owner,
            "y_true",
            f"indices of classes of shape {rows} for predictions of shape {y_pred.shape}",
            labels.shape,
            "For one-hot labels use the categorical form.",
        )
    exact = "float32" if is_float(labels.dtype) else "int32"
    return labels.astype(exact).reshape(rows), y_pred


def _in_top_k(labels: Array, scores: Array, k: int) -> Array:
    """Whether fewer than `k` scores exceed the label's; no label out of range ever does."""
    classes = scores.shape[-1]
    index = jnp.clip(labels, 0, classes - 1)[..., None]
    own = jnp.take_along_axis(scores, index, axis=-1)
    return (
        (jnp.sum(scores > own, axis=-1) < k) & (index[..., 0] == labels) & ~jnp.isnan(own[..., 0])
    )
