"""R²: the share of the labels' variance that the predictions explain.

    R² = 1 - Σ w (y - p)² / Σ w (y - ȳ)²        adjusted: 1 - (1 - R²)(n - 1) / (n - k - 1)

The second sum is merged batch by batch from deviations (Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances", 1979). Keras subtracts two
large sums of squares instead, which in float32 loses the score where the labels' mean is
large next to their spread (years, prices).
"""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from talweg.core import errors
from talweg.metrics.base import Metric
from talweg.ops import targets
from talweg.ops.elementwise import divide_no_nan

Array = jax.Array

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """The coefficient of determination; 1 is perfect, 0 no better than the mean.

    Args:
        class_aggregation: "uniform_average" or "variance_weighted_average" over the
            outputs, or None for one score per output.
        num_regressors: k of the adjusted score; 0 for the plain one. Where the samples
            are too few to adjust, the plain score is given, with a warning.
        name: its name in logs.
        dtype: the type of the inputs, `floatx()` where none is given.

    Raises:
        ValueError: an option is none of these, or the data is not of shape (n, outputs).

    >>> y = [[1.0], [2.0], [3.0]]
    >>> round(float(R2Score()(y, [[1.0], [2.0], [4.0]])), 4)
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in _AGGREGATIONS:
            expected = f"one of {_AGGREGATIONS}"
            raise errors.invalid("R2Score", "class_aggregation", expected, class_aggregation)
        if num_regressors < 0:
            raise errors.invalid("R2Score", "num_regressors", "at least 0", num_regressors)
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def build(self, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> None:
        if self._built:
            return
        if len(y_pred_shape) != 2:
            expected = "of shape (n, outputs)"
            raise errors.invalid("R2Score", "y_pred", expected, tuple(y_pred_shape))
        shape = (y_pred_shape[-1],)
        self.mean = self.add_variable(shape, "zeros", name="mean")
        self.squared_deviations = self.add_variable(shape, "zeros", name="squared_deviations")
        self.total_mse = self.add_variable(shape, "zeros", name="residual")
        self.count = self.add_variable(shape, "zeros", name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = targets.conform(y_true, y_pred, self.name)
        y_true, y_pred = y_true.astype(self.dtype), y_pred.astype(self.dtype)
        self.build(y_true.shape, y_pred.shape)
        weight = jnp.asarray(1 if sample_weight is None else sample_weight, self.dtype)
        weight = weight[:, None] if weight.ndim == 1 else weight
        weight = jnp.broadcast_to(weight, y_true.shape)

        count = jnp.sum(weight, axis=0)
        mean = divide_no_nan(jnp.sum(y_true * weight, axis=0), count)
        within = jnp.sum(jnp.square(y_true - mean) * weight, axis=0)

        total = self.count.value + count
        step = mean - self.mean.value
        between = jnp.square(step) * divide_no_nan(self.count.value * count, total)
        self.squared_deviations.assign_add(within + between)
        self.mean.assign_add(step * divide_no_nan(count, total))
        self.count.assign(total)
        self.total_mse.assign_add(jnp.sum(jnp.square(y_true - y_pred) * weight, axis=0))
        self.num_samples.assign_add(y_true.size)

    def result(self) -> Array:
        if not self._built:
            raise ValueError("R2Score: there is no score before the first update_state().")
        spread = self.squared_deviations.value
        scores = 1 - self.total_mse.value / spread
        scores = jnp.where(jnp.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = jnp.sum(spread * scores) / jnp.sum(spread)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score: Array) -> Array:
        samples = self.num_samples.value
        freedom = samples - self.num_regressors - 1
        if not isinstance(freedom, Tracer) and freedom <= 0:
            warnings.warn(
                f"R2Score: {int(samples)} values are too few for num_regressors="
                f"{self.num_regressors}; the score is not adjusted.",
                stacklevel=3,
            )
        adjusted = 1 - (1 - score) * (samples - 1) / jnp.where(freedom > 0, freedom, 1)
        return jnp.where(freedom > 0, adjusted, score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
