"""Per-sample formulas shared by losses and metrics; the law of their shapes is in targets.py.

Every function takes (y_true, y_pred) and keeps the leading axes: (n, d) gives (n,).

Longer than other files: losses and metrics must find the whole list in one
place: they may not import each other.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from talweg.core import config, errors
from talweg.ops.targets import conform, conform_labels, conform_one_hot


def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """Mean of (y_true − y_pred)² over the last axis.

    >>> float(mean_squared_error([[0.0, 2.0]], [[1.0, 0.0]])[0])
    2.5
    """
    y_true, y_pred = conform(y_true, y_pred, "mean_squared_error")
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """Mean of |y_true − y_pred| over the last axis.

    >>> float(mean_absolute_error([[0.0, 2.0]], [[1.0, 0.0]])[0])
    1.5
    """
    y_true, y_pred = conform(y_true, y_pred, "mean_absolute_error")
    return jnp.mean(jnp.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Array:
    """100 · mean of |y_true − y_pred| / max(|y_true|, ε) over the last axis, ε = `epsilon()`.

    >>> round(float(mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]])[0]), 4)
    25.0
    """
    y_true, y_pred = conform(y_true, y_pred, "mean_absolute_percentage_error")
    size = jnp.maximum(jnp.abs(y_true), config.epsilon())
    return 100.0 * jnp.mean(jnp.abs((y_true - y_pred) / size), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Array:
    """Mean of (ln(1 + y_true) − ln(1 + y_pred))² over the last axis.

    Both are raised to `epsilon()` first, so negative numbers count as zero.

    >>> round(float(mean_squared_logarithmic_error([[0.0]], [[1.0]])[0]), 4)
    0.4805
    """
    y_true, y_pred = conform(y_true, y_pred, "mean_squared_logarithmic_error")
    true = jnp.log1p(jnp.maximum(y_true, config.epsilon()))
    pred = jnp.log1p(jnp.maximum(y_pred, config.epsilon()))
    return jnp.mean(jnp.square(pred - true), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Array:
    """Mean of e²/2 where |e| ≤ δ, δ|e| − δ²/2 elsewhere, e = y_true − y_pred. Huber, 1964.

    >>> float(huber([[0.0, 0.0]], [[1.0, 3.0]])[0])
    1.5
    """
    y_true, y_pred = conform(y_true, y_pred, "huber")
    error = jnp.abs(y_pred - y_true)
    near = 0.5 * jnp.square(error)
    return jnp.mean(jnp.where(error <= delta, near, delta * error - 0.5 * delta**2), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Array:
    """Mean of ln cosh(y_pred − y_true) over the last axis.

    Near x²/2 for small errors and |x| − ln 2 for large ones.

    >>> round(float(log_cosh([[0.0]], [[1.0]])[0]), 4)
    0.4338
    """
    y_true, y_pred = conform(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    return jnp.mean(error + jax.nn.softplus(-2.0 * error) - jnp.log(2.0).astype(error.dtype), -1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """−⟨y_true, y_pred⟩ / (‖y_true‖ ‖y_pred‖): −1 where the directions agree.

    A zero vector has similarity 0, and a zero gradient (Keras: NaN).

    Args:
        axis: the axis of the vectors.

    >>> round(float(cosine_similarity([[0.0, 2.0]], [[0.0, 5.0]])[0]), 4)
    -1.0
    """
    y_true, y_pred = conform(y_true, y_pred, "cosine_similarity")
    return -jnp.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Array, axis: int) -> Array:
    # The floor sits under the root: a minimum on the root's reciprocal has NaN gradient at 0.
    floor = max(config.epsilon() ** 2, float(jnp.finfo(x.dtype).tiny))
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=axis, keepdims=True), floor))


def kl_divergence(y_true: Any, y_pred: Any) -> Array:
    """Σ y_true ln(y_true / y_pred) over the last axis, both clipped to [`epsilon()`, 1].

    >>> round(float(kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])[0]), 4)
    0.1438
    """
    y_true, y_pred = conform(y_true, y_pred, "kl_divergence")
    y_true = jnp.clip(y_true, config.epsilon(), 1)
    y_pred = jnp.clip(y_pred, config.epsilon(), 1)
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Array:
    """Mean of y_pred − y_true ln(y_pred + ε) over the last axis: the Poisson deviance up to y.

    Args:
        y_true: counts, (…, d).
        y_pred: positive rates, (…, d).

    >>> round(float(poisson([[1.0]], [[2.0]])[0]), 4)
    1.3069
    """
    y_true, y_pred = conform(y_true, y_pred, "poisson")
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + config.epsilon()), axis=-1)


def _signed(y_true: Array) -> Array:
    """{0, 1} labels as {−1, 1}, others as they are; decided on the whole batch, as Keras does."""
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Array:
    """Mean of max(1 − y_true y_pred, 0) over the last axis; y_true is ±1, or 0 and 1.

    >>> float(hinge([[0.0, 1.0]], [[0.5, 0.5]])[0])
    1.0
    """
    y_true, y_pred = conform(y_true, y_pred, "hinge")
    return jnp.mean(jnp.maximum(1.0 - _signed(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Array:
    """Mean of max(1 − y_true y_pred, 0)² over the last axis; y_true is ±1, or 0 and 1.

    >>> float(squared_hinge([[0.0, 1.0]], [[0.5, 0.5]])[0])
    1.25
    """
    y_true, y_pred = conform(y_true, y_pred, "squared_hinge")
    return jnp.mean(jnp.square(jnp.maximum(1.0 - _signed(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Array:
    """max(max((1 − y_true) y_pred) − Σ y_true y_pred + 1, 0) over the last axis; y_true one-hot.

    >>> round(float(categorical_hinge([[0.0, 1.0]], [[0.25, 0.5]])[0]), 4)
    0.75
    """
    y_true, y_pred = conform_one_hot(y_true, y_pred, "categorical_hinge")
    positive = jnp.sum(y_true * y_pred, axis=-1)
    negative = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(negative - positive + 1.0, 0.0)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Mean of −t ln p − (1 − t) ln(1 − p) over `axis`.

    Args:
        y_true: t in [0, 1], the shape of y_pred, or (n,) for (n, 1).
        y_pred: p, clipped to [ε, 1 − ε]; with `from_logits`, x with p = sigmoid(x).
        label_smoothing: s turns t into (1 − s) t + s / 2.

    >>> round(float(binary_crossentropy([[1.0]], [[0.5]])[0]), 4)
    0.6931
    """
    y_true, y_pred = conform(y_true, y_pred, "binary_crossentropy")
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return jnp.mean(binary_terms(y_true, y_pred, from_logits), axis=axis)


def binary_terms(y_true: Array, y_pred: Array, from_logits: bool) -> Array:
    """−t ln p − (1 − t) ln(1 − p), element by element."""
    if from_logits:
        # One exponential and one logarithm, exact in both tails. The branch at 0 is chosen
        # once: abs and maximum have slopes there that do not add up to 1/2 − t.
        above = y_pred >= 0
        tail = jnp.log1p(jnp.exp(jnp.where(above, -y_pred, y_pred)))
        return jnp.where(above, y_pred, 0.0) - y_true * y_pred + tail
    return _binary_of_probability(y_true, y_pred)


@jax.custom_jvp
def _binary_of_probability(t: Array, p: Array) -> Array:
    p = clip_probability(p)
    return -(t * jnp.log(p) + (1.0 - t) * jnp.log(1.0 - p))


@_binary_of_probability.defjvp
def _binary_of_probability_jvp(primals: Any, tangents: Any) -> Any:
    """One quotient in place of four: XLA makes a loop of its own of each division.

    The slope is 0 outside the clip and whole at its ends, where the derivatives of minimum and
    maximum would halve it: a sigmoid takes the value 1 − ε from x = 15.6 on.
    """
    (t, p), (dt, dp) = primals, tangents
    q = clip_probability(p)
    slope = jnp.where(p == q, (q - t) / (q * (1.0 - q)), 0.0)
    return _binary_of_probability(t, p), slope * dp + (jnp.log(1.0 - q) - jnp.log(q)) * dt


def clip_probability(p: Array) -> Array:
    """p within [ε, 1 − ε], ε = `epsilon()`."""
    return jnp.clip(p, config.epsilon(), 1.0 - config.epsilon())


def one_hot_targets(
    y_true: Any, y_pred: Any, label_smoothing: float, axis: int, owner: str
) -> tuple[Array, Array]:
    """Conformed and smoothed targets of the categorical cross-entropies.

    Raises:
        ValueError: integer labels, unequal shapes, or a boolean axis.
    """
    if isinstance(axis, bool):
        raise errors.invalid(owner, "axis", "an integer", axis)
    y_true, y_pred = conform_one_hot(y_true, y_pred, owner)
    if y_pred.ndim and y_pred.shape[-1] == 1:
        warnings.warn(
            f"{owner}: y_pred of shape {y_pred.shape} has a single class, whose probability "
            "is always 1. Use binary_crossentropy for two classes.",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    return y_true, y_pred


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """−Σ t ln p over the classes.

    Args:
        y_true: t, one-hot or soft, the shape of y_pred.
        y_pred: p, scaled to sum 1 and clipped; with `from_logits`, x with p = softmax(x).
        label_smoothing: s turns t into (1 − s) t + s / C.
        axis: the axis of the C classes.

    Raises:
        ValueError: y_true holds integer labels.

    >>> round(float(categorical_crossentropy([[0, 1]], [[0.5, 0.5]])[0]), 4)
    0.6931
    """
    y_true, y_pred = one_hot_targets(
        y_true, y_pred, label_smoothing, axis, "categorical_crossentropy"
    )
    if from_logits:
        log_p = jax.nn.log_softmax(y_pred, axis=axis)
    else:
        log_p = jnp.log(clip_probability(y_pred / jnp.sum(y_pred, axis=axis, keepdims=True)))
    return -jnp.sum(y_true * log_p, axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """−ln p of the labelled class.

    Args:
        y_true: integer labels: the shape of y_pred without `axis`, or with a one there.
        y_pred: p, scaled to sum 1 and clipped; with `from_logits`, x with p = softmax(x).
        ignore_class: a label whose rows count 0.
        axis: the axis of the C classes.

    A label outside 0 … C−1 gives NaN, so that it is noticed (Keras: 0, silently).

    Raises:
        ValueError: the shapes do not fit.

    >>> round(float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]), 4)
    0.6931
    """
    labels, y_pred = conform_labels(y_true, y_pred, "sparse_categorical_crossentropy", axis)
    counted = None
    if ignore_class is not None:
        counted = labels != ignore_class
        labels = jnp.where(counted, labels, 0)
    classes = y_pred.shape[axis]
    chosen = jax.nn.one_hot(labels, classes, axis=axis, dtype=bool)
    # The class is chosen before the logarithm: one per row instead of one per class.
    if from_logits:
        shifted = y_pred - jax.lax.stop_gradient(jnp.max(y_pred, axis=axis, keepdims=True))
        picked = jnp.sum(jnp.where(chosen, shifted, 0.0), axis=axis)
        loss = jnp.log(jnp.sum(jnp.exp(shifted), axis=axis)) - picked
    else:
        picked = jnp.sum(jnp.where(chosen, y_pred, 0.0), axis=axis)
        loss = -jnp.log(clip_probability(picked / jnp.sum(y_pred, axis=axis)))
    loss = jnp.where((labels >= 0) & (labels < classes), loss, jnp.nan)
    return loss if counted is None else jnp.where(counted, loss, 0.0)
