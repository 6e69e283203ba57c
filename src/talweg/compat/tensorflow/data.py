"""`tf.data`: the data set of the library under TensorFlow's name."""

from typing import Any

from talweg.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from talweg.data.rearranging import AUTOTUNE


def cardinality(dataset: Dataset) -> Any:
    """The number of elements; of `tf.data.experimental`, and the same as the method."""
    return dataset.cardinality()


__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "cardinality"]
