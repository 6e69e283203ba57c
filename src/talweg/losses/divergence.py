"""Distances between distributions: Kullback-Leibler and Poisson."""

from typing import Any

import numpy as np

from talweg.losses.base import Reduction
from talweg.losses.checks import require_range, require_unit_interval
from talweg.losses.wrapper import ExportedLoss
from talweg.ops import objectives
from talweg.ops.targets import Shape


class KLDivergence(ExportedLoss):
    """Σ y_true ln(y_true / y_pred) over the classes; arguments as `Loss`.

    The check refuses targets outside [0, 1], which the formula would clip.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    formula = staticmethod(objectives.kl_divergence)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)

    @property
    def expects_probabilities(self) -> bool:
        return True

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_unit_interval(y_true, type(self).__name__, "Scale each row of y to sum 1.")


class Poisson(ExportedLoss):
    """Mean of y_pred − y_true ln y_pred: counts against their rates; arguments as `Loss`.

    The check refuses negative counts.

    >>> round(float(Poisson()([[1.0]], [[2.0]])), 4)
    1.3069
    """

    formula = staticmethod(objectives.poisson)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_range(
            y_true,
            type(self).__name__,
            "a count, at least 0",
            low=0.0,
            remedy="The loss has no minimum for negative targets.",
        )
