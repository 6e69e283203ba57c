"""The best of one rate among the thresholds at which another is high enough.

sensitivity = recall = TP / (TP + FN)   specificity = TN / (TN + FP)
precision = TP / (TP + FP)
"""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.metrics import confusion
from talweg.metrics.base import Metric
from talweg.ops.elementwise import divide_no_nan

Array = jax.Array


class BestUnderConstraint(Metric):
    """Base of the four: keeps all counts, and takes the maximum where the bound holds.

    A subclass names the bounded rate (`constrained`, which is also its argument) and the
    one it reports (`dependent`).
    """

    constrained: str
    dependent: str
    _direction = "up"

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        if not 0 <= value <= 1:
            raise errors.invalid(owner, self.constrained, "in [0, 1]", value)
        if num_thresholds < 1:
            raise errors.invalid(owner, "num_thresholds", "at least 1", num_thresholds)
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        one = num_thresholds == 1
        self.thresholds = [0.5] if one else confusion.spaced_thresholds(num_thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        self.false_positives = self.add_variable(shape, "zeros", name="false_positives")
        self.true_negatives = self.add_variable(shape, "zeros", name="true_negatives")
        self.false_negatives = self.add_variable(shape, "zeros", name="false_negatives")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion.count(
            self.name,
            y_true,
            y_pred,
            self.thresholds,
            sample_weight,
            evenly=len(self.thresholds) > 1,
            class_id=self.class_id,
        )
        for name, batch in counts._asdict().items():
            getattr(self, name).assign_add(batch)

    def result(self) -> Array:
        feasible = self._rate(self.constrained) >= self.value
        return jnp.max(jnp.where(feasible, self._rate(self.dependent), 0.0), initial=0.0)

    def _rate(self, name: str) -> Array:
        if name == "specificity":
            right, wrong = self.true_negatives, self.false_positives
        elif name == "precision":
            right, wrong = self.true_positives, self.false_positives
        else:
            right, wrong = self.true_positives, self.false_negatives
        return divide_no_nan(right.value, right.value + wrong.value)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
            self.constrained: self.value,
        }


class SensitivityAtSpecificity(BestUnderConstraint):
    """The best sensitivity among thresholds with at least this specificity.

    Args:
        specificity: the bound, in [0, 1].
        num_thresholds: how many thresholds in [0, 1] are tried.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: the bound is outside of [0, 1], or there is no threshold.

    >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    constrained, dependent = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(BestUnderConstraint):
    """The best specificity among thresholds with at least this sensitivity.

    Args:
        sensitivity: the bound, in [0, 1].
        num_thresholds: how many thresholds in [0, 1] are tried.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: the bound is outside of [0, 1], or there is no threshold.

    >>> round(float(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    constrained, dependent = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(BestUnderConstraint):
    """The best precision among thresholds with at least this recall.

    Args:
        recall: the bound, in [0, 1].
        num_thresholds: how many thresholds in [0, 1] are tried.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: the bound is outside of [0, 1], or there is no threshold.

    >>> float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    constrained, dependent = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(BestUnderConstraint):
    """The best recall among thresholds with at least this precision.

    Args:
        precision: the bound, in [0, 1].
        num_thresholds: how many thresholds in [0, 1] are tried.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: the bound is outside of [0, 1], or there is no threshold.

    >>> float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.5
    """

    constrained, dependent = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
