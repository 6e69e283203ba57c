"""Distances between numbers: squared, absolute, relative, logarithmic, robust, angular."""

from typing import Any, ClassVar

import numpy as np

from talweg.losses.base import Reduction
from talweg.losses.checks import require_range
from talweg.losses.wrapper import ExportedLoss
from talweg.ops import objectives
from talweg.ops.targets import Shape


class MeanSquaredError(ExportedLoss):
    """Mean of (y_true − y_pred)²; arguments as `Loss`.

    Raises:
        ValueError: y (n, 1) with predictions (n, 3), or the like, which Keras broadcasts.

    >>> float(MeanSquaredError()([[0.0], [2.0]], [[1.0], [0.0]]))
    2.5
    """

    formula = staticmethod(objectives.mean_squared_error)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class MeanAbsoluteError(ExportedLoss):
    """Mean of |y_true − y_pred|; arguments as `Loss`.

    >>> float(MeanAbsoluteError()([[0.0], [2.0]], [[1.0], [0.0]]))
    1.5
    """

    formula = staticmethod(objectives.mean_absolute_error)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class MeanAbsolutePercentageError(ExportedLoss):
    """100 · mean of |y_true − y_pred| / max(|y_true|, ε); arguments as `Loss`.

    >>> round(float(MeanAbsolutePercentageError()([[2.0], [4.0]], [[1.0], [4.0]])), 4)
    25.0
    """

    formula = staticmethod(objectives.mean_absolute_percentage_error)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class MeanSquaredLogarithmicError(ExportedLoss):
    """Mean of (ln(1 + y_true) − ln(1 + y_pred))²; arguments as `Loss`.

    The check refuses targets of −1 and below, where the logarithm is undefined.

    >>> round(float(MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 4)
    0.4805
    """

    formula = staticmethod(objectives.mean_squared_logarithmic_error)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_range(
            y_true,
            type(self).__name__,
            "above -1",
            low=-1.0,
            open_low=True,
            remedy="ln(1 + y) is undefined there; use mean_squared_error.",
        )


class Huber(ExportedLoss):
    """Squared for errors up to `delta`, linear beyond; other arguments as `Loss`.

    Args:
        delta: where the loss turns linear, in the units of y; positive.

    Raises:
        ValueError: delta is not positive.

    >>> float(Huber(delta=1.0)([[0.0], [0.0]], [[1.0], [3.0]]))
    1.5
    """

    formula = staticmethod(objectives.huber)
    ranges: ClassVar = {"delta": "(0, inf)"}
    unlisted = ("delta",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype, delta=delta)


class LogCosh(ExportedLoss):
    """Mean of ln cosh(y_pred − y_true); arguments as `Loss`.

    >>> round(float(LogCosh()([[0.0]], [[1.0]])), 4)
    0.4338
    """

    formula = staticmethod(objectives.log_cosh)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)


class CosineSimilarity(ExportedLoss):
    """Minus the cosine of the angle between targets and predictions; others as `Loss`.

    Args:
        axis: the axis of the vectors.

    >>> round(float(CosineSimilarity()([[0.0, 2.0]], [[0.0, 5.0]])), 4)
    -1.0
    """

    formula = staticmethod(objectives.cosine_similarity)
    unlisted = ("axis",)

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype, axis=axis)
