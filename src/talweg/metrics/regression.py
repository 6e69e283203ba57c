"""Means of the losses between numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.metrics.reduction import Mean, NamedMean
from talweg.ops import objectives, targets

Array = jax.Array


class MeanSquaredError(NamedMean):
    """The mean of `(y - p)²`.

    >>> float(MeanSquaredError()([[0.0], [1.0]], [[2.0], [1.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(objectives.mean_squared_error, name, dtype)


class RootMeanSquaredError(Mean):
    """The root of the mean of `(y - p)²` over all samples, not the mean of roots.

    Args:
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: the shapes differ by more than a trailing axis of 1.

    >>> float(RootMeanSquaredError()([[0.0], [1.0]], [[2.0], [3.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true, y_pred = targets.conform(y_true, y_pred, self.name)
        error = y_pred.astype(self.dtype) - y_true.astype(self.dtype)
        super().update_state(jnp.square(error), sample_weight)

    def result(self) -> Array:
        return jnp.sqrt(super().result())


class MeanAbsoluteError(NamedMean):
    """The mean of `|y - p|`.

    >>> float(MeanAbsoluteError()([[0.0], [1.0]], [[2.0], [1.0]]))
    1.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(objectives.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(NamedMean):
    """The mean of `100 |y - p| / |y|`.

    >>> float(MeanAbsolutePercentageError()([[2.0], [1.0]], [[1.0], [1.0]]))
    25.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(objectives.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(NamedMean):
    """The mean of `(log(y + 1) - log(p + 1))²`.

    >>> round(float(MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 4)
    0.4805
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(objectives.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(NamedMean):
    """The mean of `log cosh(p - y)`.

    >>> round(float(LogCoshError()([[0.0]], [[1.0]])), 4)
    0.4338
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(objectives.log_cosh, name, dtype)


class CosineSimilarity(NamedMean):
    """The mean cosine of the angle between label and prediction, in [-1, 1].

    The config keeps an axis other than the last; Keras's forgets it.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        axis: the axis along which the vectors lie.

    >>> round(float(CosineSimilarity()([[0.0, 2.0]], [[1.0, 1.0]])), 4)
    0.7071
    """

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(_cosine_similarity, name, dtype, axis=axis)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.axis == -1:
            del config["axis"]
        return config


def _cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    return -objectives.cosine_similarity(y_true, y_pred, axis=axis)
