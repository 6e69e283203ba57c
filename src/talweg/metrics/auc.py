"""AUC: the area under a curve of rates over all thresholds.

ROC: true positive rate over false positive rate. PR: precision over recall, interpolated
after Davis and Goadrich, "The relationship between precision-recall and ROC curves", ICML
2006. PRGAIN: both as gains over the rate of positives, after Flach and Kull,
"Precision-recall-gain curves", NeurIPS 2015.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors
from talweg.metrics import confusion
from talweg.metrics.base import Metric
from talweg.ops.elementwise import divide_no_nan

Array = jax.Array

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the ROC, precision-recall or precision-recall-gain curve.

    Args:
        num_thresholds: the number of points on the curve, at least 2; ignored where
            `thresholds` are given.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation" (trapezoids; for PR the exact curve between
            points), "majoring" or "minoring" (the higher or lower rectangle).
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.
        thresholds: inner thresholds in [0, 1]; evenly spaced where none are given.
        multi_label: compute one area per column and average them, instead of one area
            over all columns.
        num_labels: the number of columns, where it should be fixed before the first batch.
        label_weights: a weight for each column.
        from_logits: whether predictions are logits instead of probabilities.

    Raises:
        ValueError: an option is none of these; multi-label predictions are not of shape
            (n, labels).

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.curve = str(curve).upper()
        if self.curve not in _CURVES:
            raise errors.invalid("AUC", "curve", f"one of {_CURVES}", curve)
        self.summation_method = str(summation_method).lower()
        if self.summation_method not in _SUMMATIONS:
            expected = f"one of {_SUMMATIONS}"
            raise errors.invalid("AUC", "summation_method", expected, summation_method)
        if num_labels and not multi_label:
            raise errors.invalid("AUC", "num_labels", "None unless multi_label=True", num_labels)
        self._given = thresholds is not None
        if thresholds is None:
            if num_thresholds is None or num_thresholds < 2:
                raise errors.invalid("AUC", "num_thresholds", "at least 2", num_thresholds)
            inner = confusion.spaced_thresholds(num_thresholds)[1:-1]
        else:
            inner = sorted(map(float, confusion.checked_thresholds("AUC", list(thresholds), 0.5)))
        self.num_thresholds = len(inner) + 2
        self._evenly = not self._given or confusion.evenly_spaced([0.0, *inner, 1.0])
        # The ends lie just outside, so that every prediction is between them.
        beyond = config.epsilon()
        self.thresholds = [0.0 - beyond, *inner, 1.0 + beyond]
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else _numbers(label_weights)
        self.from_logits = from_logits
        self._built = False
        if num_labels or not multi_label:
            self.build((None, num_labels), (None, num_labels))

    def build(self, y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> None:
        if self._built:
            return
        if self.multi_label and len(y_pred_shape) != 2:
            raise errors.invalid(
                "AUC", "y_pred", "of shape (n, labels) for multi_label=True", tuple(y_pred_shape)
            )
        labels = (y_pred_shape[1],) if self.multi_label else ()
        shape = (self.num_thresholds, *labels)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        self.false_positives = self.add_variable(shape, "zeros", name="false_positives")
        self.true_negatives = self.add_variable(shape, "zeros", name="true_negatives")
        self.false_negatives = self.add_variable(shape, "zeros", name="false_negatives")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = jnp.asarray(y_pred)
        self.build(np.shape(y_true), y_pred.shape)
        counts = confusion.count(
            self.name,
            y_true,
            jax.nn.sigmoid(y_pred) if self.from_logits else y_pred,
            self.thresholds,
            sample_weight,
            evenly=self._evenly,
            per_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        for name, batch in counts._asdict().items():
            getattr(self, name).assign_add(batch)

    def result(self) -> Array:
        if not self._built:
            raise ValueError("AUC: there is no area before the first update_state().")
        if self.curve == "PR" and self.summation_method == "interpolation":
            pieces = self._interpolated_pr()
        else:
            x, y = self._points()
            join = {"interpolation": _middle, "majoring": jnp.maximum, "minoring": jnp.minimum}
            pieces = (x[:-1] - x[1:]) * join[self.summation_method](y[:-1], y[1:])
        areas = jnp.sum(pieces, axis=0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        weights = jnp.asarray(self.label_weights, areas.dtype)
        return divide_no_nan(jnp.sum(areas * weights), jnp.sum(weights))

    def _points(self) -> tuple[Array, Array]:
        tp, fp = self.true_positives.value, self.false_positives.value
        tn, fn = self.true_negatives.value, self.false_negatives.value
        if self.curve == "ROC":
            return divide_no_nan(fp, fp + tn), divide_no_nan(tp, tp + fn)
        if self.curve == "PR":
            return divide_no_nan(tp, tp + fn), divide_no_nan(tp, tp + fp)
        # Gains diverge without true positives, and are negative below the rate of positives.
        odds = divide_no_nan(tp + fn, tn + fp)
        recall = jnp.where(tp == 0, 0.0, 1 - odds * divide_no_nan(fn, tp))
        precision = jnp.where(tp == 0, 1.0, 1 - odds * divide_no_nan(fp, tp))
        return jnp.maximum(recall, 0.0), precision

    def _interpolated_pr(self) -> Array:
        """Between two points true positives grow linearly with predicted positives p:
        the precision (a + s p) / p is integrated over the recall exactly."""
        tp = self.true_positives.value
        p = tp + self.false_positives.value
        gained = tp[:-1] - tp[1:]
        slope = divide_no_nan(gained, jnp.maximum(p[:-1] - p[1:], 0))
        intercept = tp[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        growth = jnp.where(both, divide_no_nan(p[:-1], jnp.maximum(p[1:], 0)), 1.0)
        positives = jnp.maximum(tp[1:] + self.false_negatives.value[1:], 0)
        return divide_no_nan(slope * (gained + intercept * jnp.log(growth)), positives)

    def get_config(self) -> dict[str, Any]:
        settings = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self._given:
            settings["thresholds"] = self.thresholds[1:-1]
        return settings


def _middle(a: Array, b: Array) -> Array:
    return (a + b) / 2


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values)]
