"""Class weights: a weight for each row, from its class."""

import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.data.batches import Sample


class ClassWeights:
    """Puts the weight of each row's class into the sample weights.

    One-hot targets are read by their largest entry. Where there are sample weights too,
    the two are multiplied. A class that is not named weighs 1, and a warning says so once.

    Args:
        weights: `{class: weight}`.
        classes: how many classes the model knows; None where that is unknown.

    Raises:
        ValueError: a weight that is not a finite number of at least 0, or one for a class
            that the model does not have.
        TypeError: no dict.
    """

    def __init__(self, weights: Any, classes: int | None):
        if not isinstance(weights, Mapping):
            raise errors.wrong_type("fit", "class_weight", "a dict {class: weight}", weights)
        self._weights: dict[int, float] = {}
        for label, weight in weights.items():
            if isinstance(label, str) or label != int(label):
                raise errors.invalid("fit", "class_weight", "named by whole class numbers", label)
            if not (np.isfinite(weight) and weight >= 0):
                raise errors.invalid(
                    "fit", f"the class_weight of {label}", "a finite number of at least 0", weight
                )
            if label < 0 or (classes is not None and label >= classes):
                known = "from 0 on" if classes is None else f"0 to {classes - 1}"
                raise errors.invalid("fit", "class_weight", f"for classes {known}", label)
            self._weights[int(label)] = float(weight)
        self._told: set[int] = set()

    def __call__(self, sample: Sample) -> Sample:
        """The sample with its weights."""
        targets = jax.tree.leaves(sample.y)
        if len(targets) != 1:
            raise errors.invalid(
                "fit", "class_weight", "used with a model of one output", f"{len(targets)} targets",
                "Use sample_weight, with an array for each output.",
            )  # fmt: skip
        y = np.asarray(targets[0])
        if y.ndim > 1 and y.shape[-1] > 1:
            y = y.argmax(-1)
        elif y.ndim > 1:
            y = y[..., 0]
        if y.ndim != 1:
            raise errors.invalid(
                "fit", "class_weight", "used with one class per row", f"targets {y.shape}",
                "Use sample_weight with a weight for each value.",
            )  # fmt: skip
        labels = np.rint(y).astype(np.int64)
        present, where = np.unique(labels, return_inverse=True)
        unnamed = {int(label) for label in present} - self._weights.keys() - self._told
        if unnamed:
            self._told |= unnamed
            listed = ", ".join(map(str, sorted(unnamed)[:10]))
            warnings.warn(
                f"class_weight names no weight for class {listed}, which the data has: it "
                "weighs 1.",
                UserWarning,
                stacklevel=2,
            )
        values = np.array([self._weights.get(int(label), 1.0) for label in present], np.float32)
        weight = values[where]
        if sample.weight is not None:
            given = np.asarray(sample.weight)
            weight = weight.reshape(-1, *[1] * (given.ndim - 1)) * given
        return sample._replace(weight=weight)
