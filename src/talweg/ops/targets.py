"""The law of the shapes of targets and predictions, which losses and metrics share.

Shapes that differ by a trailing axis of one are reconciled; any other difference is an error,
where Keras broadcasts silently. The targets take the predictions' floating type.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array

from talweg.core import config, errors
from talweg.core.dtypes import is_float

Shape = tuple[int | None, ...]


def same_rank(y_true: Shape, y_pred: Shape) -> tuple[Shape, Shape]:
    """Both shapes with a trailing one added (to a vector) or dropped where ranks differ by one.

    >>> same_rank((8, 5), (8, 5, 1))
    ((8, 5), (8, 5))
    """
    true, pred = tuple(y_true), tuple(y_pred)
    if len(true) == len(pred) + 1 and true[-1] == 1:
        return (true, (*pred, 1)) if len(pred) == 1 else (true[:-1], pred)
    if len(pred) == len(true) + 1 and pred[-1] == 1:
        return ((*true, 1), pred) if len(true) == 1 else (true, pred[:-1])
    return true, pred


def aligned_shapes(y_true: Shape, y_pred: Shape, owner: str) -> tuple[Shape, Shape]:
    """Both shapes after the reconciliation of a trailing axis of one; None matches anything.

    Raises:
        ValueError: the shapes still differ; both are named.

    >>> aligned_shapes((8,), (8, 1), "MeanSquaredError")
    ((8, 1), (8, 1))
    """
    true, pred = same_rank(y_true, y_pred)
    if not _match(true, pred):
        raise errors.invalid(
            owner,
            "y_true",
            f"of the shape of y_pred, {tuple(y_pred)}",
            tuple(y_true),
            "Give the last layer one unit per target; for integer classes use "
            "sparse_categorical_crossentropy.",
        )
    return true, pred


def label_shape(y_true: Shape, y_pred: Shape, owner: str, axis: int = -1) -> Shape:
    """The shape of integer labels for predictions of `y_pred`: theirs without the class axis.

    Raises:
        ValueError: the labels have neither that shape nor that shape with a one at `axis`.

    >>> label_shape((8, 1), (8, 3), "SparseCategoricalCrossentropy")
    (8,)
    """
    true, pred = tuple(y_true), tuple(y_pred)
    if not pred:
        raise errors.invalid(owner, "y_pred", "of at least one axis, the classes", pred)
    place = axis % len(pred)
    expected = pred[:place] + pred[place + 1 :]
    if len(true) == len(pred) and true[place] == 1:
        true = true[:place] + true[place + 1 :]
    if not _match(true, expected):
        raise errors.invalid(
            owner,
            "y_true",
            f"integer labels of shape {expected} for y_pred of shape {pred}",
            tuple(y_true),
            "One-hot targets go with categorical_crossentropy.",
        )
    return true


def _match(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )


def conform(y_true: Any, y_pred: Any, owner: str) -> tuple[Array, Array]:
    """Targets and predictions as arrays of one floating type and of one shape.

    (n,) with (n, 1), or the reverse, becomes (n, 1); a trailing one is dropped at higher
    rank. Integer predictions become floats.

    Raises:
        ValueError: the shapes differ otherwise, (n, 1) with (n, 3) for example. Keras
            broadcasts them silently.

    >>> y_true, y_pred = conform([1, 0], [[0.5], [0.5]], "MeanSquaredError")
    >>> y_true.shape, y_pred.shape
    ((2, 1), (2, 1))
    """
    y_pred = floating(y_pred)
    y_true = jnp.asarray(y_true)
    true, pred = aligned_shapes(y_true.shape, y_pred.shape, owner)
    return y_true.reshape(true).astype(y_pred.dtype), y_pred.reshape(pred)


def conform_labels(y_true: Any, y_pred: Any, owner: str, axis: int = -1) -> tuple[Array, Array]:
    """Labels as int32 without the class axis, and predictions as floats.

    Raises:
        ValueError: see `label_shape`.

    >>> labels, _ = conform_labels([[2], [0]], jnp.ones((2, 3)), "SparseCategoricalCrossentropy")
    >>> labels.shape
    (2,)
    """
    y_pred = floating(y_pred)
    y_true = jnp.asarray(y_true)
    shape = label_shape(y_true.shape, y_pred.shape, owner, axis)
    return y_true.reshape(shape).astype("int32"), y_pred


def conform_one_hot(y_true: Any, y_pred: Any, owner: str) -> tuple[Array, Array]:
    """As `conform`, for targets with one column per class.

    Raises:
        ValueError: the shapes differ; integer labels are told where to go.
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    refuse_labels(y_true.shape, y_pred.shape, owner)
    return conform(y_true, y_pred, owner)


def refuse_labels(y_true: Shape, y_pred: Shape, owner: str) -> None:
    """Raise where targets are integer labels, (n,) or (n, 1), for predictions (n, C > 1)."""
    true, pred = tuple(y_true), tuple(y_pred)
    if pred and pred[-1] not in (1, None) and true in (pred[:-1], (*pred[:-1], 1)):
        raise errors.invalid(
            owner,
            "y_true",
            f"one-hot of shape {pred}, as y_pred",
            true,
            "For integer labels use sparse_categorical_crossentropy, or to_categorical on y.",
        )


def floating(x: Any) -> Array:
    """`x` as an array; integers and booleans in `floatx()`."""
    x = jnp.asarray(x)
    return x if is_float(x.dtype) else x.astype(config.floatx())
