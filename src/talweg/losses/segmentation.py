"""Overlap of regions: Dice and Tversky."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.core import config
from talweg.losses.base import Reduction
from talweg.losses.checks import require_unit_interval
from talweg.losses.wrapper import ExportedLoss
from talweg.ops.targets import Shape, conform

Axis = int | tuple[int, ...] | list[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Array:
    """1 − 2 Σ t p / (Σ t + Σ p + ε), the sums over `axis`.

    Args:
        y_true: t, masks of 0 and 1.
        y_pred: p, probabilities, the shape of y_true.
        axis: what to sum over; None sums the whole batch to one number.

    >>> round(float(dice([[1.0, 0.0]], [[1.0, 1.0]])), 4)
    0.3333
    """
    y_true, y_pred = conform(y_true, y_pred, "dice")
    axis = _axes(axis)
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    sizes = jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis)
    return 1.0 - 2.0 * overlap / (sizes + config.epsilon())


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None
) -> Array:
    """1 − Σ t p / (Σ t p + α Σ t (1 − p) + β Σ (1 − t) p + ε), the sums over `axis`.

    As Keras computes it: alpha weighs what is missed, beta what is predicted in excess.
    Salehi et al., 2017, arXiv:1706.05721.

    >>> round(float(tversky([[1.0, 0.0]], [[1.0, 1.0]], beta=1.0)), 4)
    0.5
    """
    y_true, y_pred = conform(y_true, y_pred, "tversky")
    axis = _axes(axis)
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    missed = jnp.sum(y_true * (1.0 - y_pred), axis=axis)
    excess = jnp.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * excess + config.epsilon())


def _axes(axis: Axis) -> int | tuple[int, ...] | None:
    return tuple(axis) if isinstance(axis, list) else axis


class _Overlap(ExportedLoss):
    @property
    def expects_probabilities(self) -> bool:
        return True

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_unit_interval(y_true, type(self).__name__, "Masks are 0 and 1.")


class Dice(_Overlap):
    """1 − the Dice coefficient of masks; other arguments as `Loss`.

    Args:
        axis: what to sum over, (1, 2, 3) for one value per image; None for all.

    >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 1.0]])), 4)
    0.3333
    """

    formula = staticmethod(dice)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axis = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype, axis=axis)


class Tversky(_Overlap):
    """1 − the Tversky index of masks; other arguments as `Loss`.

    Args:
        alpha: weight of what is missed; at least 0.
        beta: weight of what is predicted in excess; at least 0.
        axis: what to sum over, (1, 2, 3) for one value per image; None for all.

    Raises:
        ValueError: alpha or beta is negative.

    >>> round(float(Tversky(beta=1.0)([[1.0, 0.0]], [[1.0, 1.0]])), 4)
    0.5
    """

    formula = staticmethod(tversky)
    ranges: ClassVar = {"alpha": "[0, inf)", "beta": "[0, inf)"}

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axis = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
