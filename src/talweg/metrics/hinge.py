"""Means of the hinge losses, for labels -1 and 1 (0 and 1 are converted)."""

from typing import Any

from talweg.metrics.reduction import NamedMean
from talweg.ops import objectives


class Hinge(NamedMean):
    """The mean of `max(1 - y p, 0)`.

    >>> float(Hinge()([[1.0], [-1.0]], [[0.5], [0.5]]))
    1.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(objectives.hinge, name, dtype)


class SquaredHinge(NamedMean):
    """The mean of `max(1 - y p, 0)²`.

    >>> float(SquaredHinge()([[1.0], [-1.0]], [[0.5], [0.5]]))
    1.25
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(objectives.squared_hinge, name, dtype)


class CategoricalHinge(NamedMean):
    """The mean of `max(1 + max_c (1 - y_c) p_c - Σ_c y_c p_c, 0)` for one-hot labels.

    >>> round(float(CategoricalHinge()([[0.0, 1.0]], [[0.25, 0.5]])), 4)
    0.75
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(objectives.categorical_hinge, name, dtype)
