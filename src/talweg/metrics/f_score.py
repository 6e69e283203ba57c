"""F-scores: the weighted harmonic mean of precision and recall.

F_β = (1 + β²) precision · recall / (β² precision + recall)
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import config, errors
from talweg.core.variables import Variable
from talweg.metrics.base import Metric

Array = jax.Array


class FBetaScore(Metric):
    """The F-score with a weight of recall against precision.

    Args:
        average: None for one score per class, "micro" over all entries, "macro" for the
            mean of the classes, "weighted" for their mean by number of true entries.
        beta: how many times recall matters as much as precision; positive.
        threshold: above it a prediction is positive; where None, the largest of a row is.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    Raises:
        ValueError: an option is none of these; labels and predictions are not both of shape
            (n, classes), which Keras broadcasts.

    >>> labels, scores = [[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]]
    >>> FBetaScore(beta=2.0, threshold=0.5)(labels, scores).shape
    (2,)
    >>> round(float(FBetaScore("macro", beta=2.0, threshold=0.5)(labels, scores)), 4)
    0.6469
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        averages = (None, "micro", "macro", "weighted")
        if average not in averages:
            raise errors.invalid(owner, "average", f"one of {averages}", average)
        if beta is None or isinstance(beta, (str, bool)) or not beta > 0:
            raise errors.invalid(owner, "beta", "a positive number", beta)
        if threshold is not None and (isinstance(threshold, (str, bool)) or not 0 < threshold <= 1):
            raise errors.invalid(owner, "threshold", "in (0, 1], or None", threshold)
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._axis = None if average == "micro" else 0
        self._built = False

    def build(self, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> None:
        if len(y_pred_shape) != 2 or tuple(y_true_shape[1:]) != tuple(y_pred_shape[1:]):
            raise errors.invalid(
                type(self).__name__,
                "y_true and y_pred",
                "both of shape (n, classes)",
                (tuple(y_true_shape), tuple(y_pred_shape)),
                "One-hot labels go with one column per class.",
            )
        if self._built:
            return
        shape = () if self.average == "micro" else (y_pred_shape[1],)
        self.true_positives = self._counter(shape, "true_positives")
        self.false_positives = self._counter(shape, "false_positives")
        self.false_negatives = self._counter(shape, "false_negatives")
        self.intermediate_weights = self._counter(shape, "intermediate_weights")
        self._built = True

    def _counter(self, shape: tuple[int, ...], name: str) -> Variable:
        return self.add_variable(shape, "zeros", self.dtype, name=name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = jnp.asarray(y_true, self.dtype), jnp.asarray(y_pred, self.dtype)
        self.build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            # A row of zeros has no largest entry.
            largest = jnp.max(y_pred, axis=-1, keepdims=True)
            positive = (y_pred >= largest) & (jnp.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        positive = positive.astype(self.dtype)
        weight = 1 if sample_weight is None else jnp.asarray(sample_weight, self.dtype)
        weight = weight.reshape(-1, 1) if isinstance(weight, jax.Array) else weight
        true = jnp.sum(y_true * weight, axis=self._axis)
        hit = jnp.sum(y_true * positive * weight, axis=self._axis)
        claimed = jnp.sum(positive * weight, axis=self._axis)
        self.true_positives.assign_add(hit)
        self.false_positives.assign_add(claimed - hit)
        self.false_negatives.assign_add(true - hit)
        self.intermediate_weights.assign_add(true)

    def result(self) -> Array:
        if not self._built:
            raise ValueError(f"{self.name}: there is no score before the first update_state().")
        tiny = config.epsilon()
        hit, support = self.true_positives.value, self.intermediate_weights.value
        precision = hit / (hit + self.false_positives.value + tiny)
        recall = hit / (hit + self.false_negatives.value + tiny)
        squared = self.beta**2
        score = (1 + squared) * precision * recall / (squared * precision + recall + tiny)
        if self.average == "weighted":
            return jnp.sum(score * support / (jnp.sum(support) + tiny))
        return score if self.average is None else jnp.mean(score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall: the F-score with `beta=1`.

    Args:
        average: None for one score per class, "micro" over all entries, "macro" for the
            mean of the classes, "weighted" for their mean by number of true entries.
        threshold: above it a prediction is positive; where None, the largest of a row is.
        name: its name in logs.
        dtype: the type of the result, `floatx()` where none is given.

    >>> round(float(F1Score(average="micro")([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])), 4)
    0.5
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
