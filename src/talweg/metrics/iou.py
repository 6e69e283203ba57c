"""Intersection over union of predicted and true regions, from a confusion matrix.

IoU_c = TP_c / (TP_c + FP_c + FN_c), averaged over the target classes that occur
"""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import config, errors
from talweg.core.dtypes import is_float
from talweg.metrics.base import Metric

Array = jax.Array


class IoU(Metric):
    """The mean intersection over union of some classes.

    Labels and predictions outside of 0 … num_classes - 1 are left out.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes to average over.
        name: its name in logs.
        dtype: the type of the counts, int32 where none is given; fractional weights need
            a floating one.
        ignore_class: a label whose entries are left out.
        sparse_y_true: whether labels are indices of classes instead of one-hot.
        sparse_y_pred: whether predictions are indices instead of scores.
        axis: the axis of the classes where they are not indices.

    Raises:
        ValueError: a target is not one of the classes.

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int")
        targets = list(target_class_ids)
        if not targets or not all(0 <= target < num_classes for target in targets):
            raise errors.invalid(
                type(self).__name__, "target_class_ids", f"in [0, {num_classes})", targets
            )
        self.num_classes = num_classes
        self.target_class_ids = targets
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add one batch: entries of any shape, each a label and a prediction."""
        true = self._indices(y_true, self.sparse_y_true)
        pred = self._indices(y_pred, self.sparse_y_pred)
        if true.size != pred.size:
            raise errors.invalid(
                self.name, "y_true", f"{pred.size} labels, one per prediction", true.size
            )
        classes = self.num_classes
        counted = (true >= 0) & (true < classes) & (pred >= 0) & (pred < classes)
        if self.ignore_class is not None:
            counted &= true != self.ignore_class
        cell = jnp.where(counted, true * classes + pred, classes * classes)
        matrix = jnp.zeros(classes * classes, self.dtype)
        matrix = matrix.at[cell].add(self._weights(sample_weight, true.size), mode="drop")
        self.total_cm.assign_add(matrix.reshape(classes, classes))

    def _indices(self, values: Any, sparse: bool) -> Array:
        values = jnp.asarray(values)
        if not sparse:
            values = jnp.argmax(values, axis=self.axis)
        return values.astype("int32").reshape(-1)

    def _weights(self, sample_weight: Any, size: int) -> Array:
        weights = jnp.asarray(1 if sample_weight is None else sample_weight)
        if is_float(weights.dtype) and not is_float(self.dtype):
            warnings.warn(
                f"{type(self).__name__}: weights are cut to whole numbers while the dtype is "
                f'{self.dtype}. Give dtype="float32" to count fractions.',
                stacklevel=3,
            )
        weights = weights.astype(self.dtype).reshape(-1)
        return jnp.broadcast_to(weights, (size,))

    def result(self) -> Array:
        matrix = self.total_cm.value
        targets = jnp.asarray(self.target_class_ids)
        hit = jnp.diagonal(matrix)[targets].astype("float32")
        either = jnp.sum(matrix, axis=0)[targets] + jnp.sum(matrix, axis=1)[targets]
        union = either.astype("float32") - hit
        occurs = union > 1e-9
        iou = jnp.where(occurs, hit / (union + config.epsilon()), 0.0)
        return jnp.sum(iou) / (jnp.sum(occurs) + config.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *fixed: str) -> dict[str, Any]:
        config = IoU.get_config(self)
        return {key: value for key, value in config.items() if key not in fixed}


class BinaryIoU(IoU):
    """Intersection over union of two classes told apart by a threshold.

    Args:
        target_class_ids: which of 0 and 1 to average over.
        threshold: at or above it a prediction is 1.
        name: its name in logs.
        dtype: the type of the counts, int32 where none is given.

    >>> round(float(BinaryIoU()([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.5833
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        above = jnp.asarray(y_pred) >= self.threshold
        super().update_state(y_true, above, sample_weight)

    def get_config(self) -> dict[str, Any]:
        fixed = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**self._config_without(*fixed), "threshold": self.threshold}


class MeanIoU(IoU):
    """The mean intersection over union of all classes.

    Args:
        num_classes: the number of classes.
        name: its name in logs.
        dtype: the type of the counts, int32 where none is given.
        ignore_class: a label whose entries are left out.
        sparse_y_true: whether labels are indices of classes instead of one-hot.
        sparse_y_pred: whether predictions are indices instead of scores.
        axis: the axis of the classes where they are not indices.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids")


class OneHotIoU(IoU):
    """`IoU` for one-hot labels.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes to average over.
        name: its name in logs.
        dtype: the type of the counts, int32 where none is given.
        ignore_class: a label whose entries are left out.
        sparse_y_pred: whether predictions are indices of classes instead of scores.
        axis: the axis of the classes.

    >>> metric = OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([[1, 0], [1, 0]], [[0.9, 0.1], [0.2, 0.8]])), 4)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            dtype,
            ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot labels.

    Args:
        num_classes: the number of classes.
        name: its name in logs.
        dtype: the type of the counts, int32 where none is given.
        ignore_class: a label whose entries are left out.
        sparse_y_pred: whether predictions are indices of classes instead of scores.
        axis: the axis of the classes.

    >>> round(float(OneHotMeanIoU(num_classes=2)([[1, 0], [1, 0]], [[0.9, 0.1], [0.2, 0.8]])), 4)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            name,
            dtype,
            ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids", "sparse_y_true")
