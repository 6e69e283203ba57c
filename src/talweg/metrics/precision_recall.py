"""Counts of outcomes, precision and recall as metrics.

precision = TP / (TP + FP)        recall = TP / (TP + FN)
"""

from typing import Any

import jax

from talweg.core.variables import Variable
from talweg.metrics import confusion
from talweg.metrics.base import Metric
from talweg.ops.elementwise import divide_no_nan

Array = jax.Array


class OutcomeCount(Metric):
    """The number of one kind of outcome at each threshold; base of the four counts."""

    outcome: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = confusion.checked_thresholds(type(self).__name__, thresholds, 0.5)
        self._evenly = confusion.evenly_spaced(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion.count(
            self.name, y_true, y_pred, self.thresholds, sample_weight, evenly=self._evenly
        )
        self.accumulator.assign_add(getattr(counts, self.outcome))

    def result(self) -> Array:
        return _scalar_if_one(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(OutcomeCount):
    """The (weighted) number of positives that are predicted as such.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: a threshold is outside of [0, 1].

    >>> float(TruePositives()([0, 1, 1, 1], [0.0, 0.9, 0.2, 0.8]))
    2.0
    """

    outcome = "true_positives"
    _direction = "up"


class TrueNegatives(OutcomeCount):
    """The (weighted) number of negatives that are predicted as such.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    >>> float(TrueNegatives()([0, 0, 1, 1], [0.0, 0.9, 0.2, 0.8]))
    1.0
    """

    outcome = "true_negatives"
    _direction = "up"


class FalsePositives(OutcomeCount):
    """The (weighted) number of negatives that are predicted as positive.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    >>> float(FalsePositives()([0, 0, 1, 1], [0.0, 0.9, 0.2, 0.8]))
    1.0
    """

    outcome = "false_positives"
    _direction = "down"


class FalseNegatives(OutcomeCount):
    """The (weighted) number of positives that are predicted as negative.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    >>> float(FalseNegatives()([0, 0, 1, 1], [0.0, 0.9, 0.2, 0.8]))
    1.0
    """

    outcome = "false_negatives"
    _direction = "down"


class ShareOfPositives(Metric):
    """True positives as a share of them and another outcome; base of precision and recall."""

    outcome: str
    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else confusion.BELOW_ALL
        self.thresholds = confusion.checked_thresholds(type(self).__name__, thresholds, default)
        self._evenly = confusion.evenly_spaced(self.thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        self._others = self.add_variable(shape, "zeros", name=self.outcome)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion.count(
            self.name,
            y_true,
            y_pred,
            self.thresholds,
            sample_weight,
            evenly=self._evenly,
            top_k=self.top_k,
            class_id=self.class_id,
        )
        self.true_positives.assign_add(counts.true_positives)
        self._others.assign_add(getattr(counts, self.outcome))

    def result(self) -> Array:
        right = self.true_positives.value
        return _scalar_if_one(divide_no_nan(right, right + self._others.value))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(ShareOfPositives):
    """The share of positive predictions that are right; 0 where there is none.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given; with `top_k`, every one of the k largest is positive.
        top_k: take only the k largest predictions of each row for positive.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: a threshold is outside of [0, 1], or there is no such column.

    >>> round(float(Precision()([0, 1, 1, 1], [0.9, 0.9, 0.2, 0.8])), 4)
    0.6667
    """

    outcome = "false_positives"

    @property
    def false_positives(self) -> Variable:
        return self._others


class Recall(ShareOfPositives):
    """The share of positives that are found; 0 where there is none.

    Args:
        thresholds: one or several in [0, 1]; above it a prediction is positive. 0.5 where
            none is given; with `top_k`, every one of the k largest is positive.
        top_k: take only the k largest predictions of each row for positive.
        class_id: the column of labels and predictions to look at; all where none is given.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: a threshold is outside of [0, 1], or there is no such column.

    >>> round(float(Recall()([0, 1, 1, 1], [0.0, 0.9, 0.2, 0.8])), 4)
    0.6667
    """

    outcome = "false_negatives"

    @property
    def false_negatives(self) -> Variable:
        return self._others


def _scalar_if_one(values: Array) -> Array:
    return values[0] if values.shape[0] == 1 else values
