"""Cross-entropies of yes-or-no targets."""

from typing import Any, ClassVar

import numpy as np

from talweg.losses.base import Reduction
from talweg.losses.checks import require_unit_interval
from talweg.losses.wrapper import ExportedLoss
from talweg.ops import objectives
from talweg.ops.focal import binary_focal_crossentropy
from talweg.ops.targets import Shape


class _Binary(ExportedLoss):
    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_unit_interval(
            y_true,
            type(self).__name__,
            "Map the two classes to 0 and 1; for more classes use sparse_categorical_crossentropy.",
        )


class BinaryCrossentropy(_Binary):
    """−t ln p − (1 − t) ln(1 − p), meaned; other arguments as `Loss`.

    Labels (n,) go with predictions (n, 1). The check refuses labels outside [0, 1], {1, 2}
    or {−1, 1} for example, with which Keras trains.

    Args:
        from_logits: predictions are logits, not probabilities.
        label_smoothing: s in [0, 1] turns t into (1 − s) t + s / 2.
        axis: the axis of the mean.

    Raises:
        ValueError: label_smoothing is outside [0, 1].

    >>> round(float(BinaryCrossentropy(from_logits=True)([1.0, 0.0], [[0.0], [0.0]])), 4)
    0.6931
    """

    formula = staticmethod(objectives.binary_crossentropy)
    ranges: ClassVar = {"label_smoothing": "[0, 1]"}

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class BinaryFocalCrossentropy(_Binary):
    """Binary cross-entropy that counts easy samples less; other arguments as `Loss`.

    Args:
        apply_class_balancing: weigh ones by alpha and zeros by 1 − alpha.
        alpha: in [0, 1].
        gamma: the focus, at least 0; 0 is the plain cross-entropy.
        from_logits, label_smoothing, axis: as `BinaryCrossentropy`.

    Raises:
        ValueError: alpha, gamma or label_smoothing is out of range.

    >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
    0.1733
    """

    formula = staticmethod(binary_focal_crossentropy)
    ranges: ClassVar = {"alpha": "[0, 1]", "gamma": "[0, inf)", "label_smoothing": "[0, 1]"}

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
