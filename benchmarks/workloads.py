"""What is trained: data, and models in the words that Keras and talweg share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """A model, its data and how it is trained with Adam at its defaults.

    Attributes:
        name: of the workload.
        data: `(rows) -> (x, y)`, the same at every call.
        model: `(keras or talweg) -> ` a model that is not compiled.
        rows: rows of the data.
        batch_size: rows per step.
        loss: Keras's name of the loss.
        metrics: Keras's names of the metrics.
        seconds: how long a measurement lasts, about: long against clock and scheduler.
    """

    name: str
    data: Callable[[int], Arrays]
    model: Callable[[Any], Any]
    rows: int
    batch_size: int
    loss: str
    metrics: tuple[str, ...] = ()
    seconds: float = 1.0

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return -(-self.rows // self.batch_size)

    def quick(self) -> "Workload":
        """The same work with a tenth of the rows, in whole batches."""
        return replace(self, rows=max(2, self.steps // 10) * self.batch_size, seconds=0.1)


def table(rows: int) -> Arrays:
    """20 numbers per row and a yes or no that a line predicts well, not perfectly."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 20)).astype("float32")
    score = x @ np.linspace(-1, 1, 20) + random.normal(size=rows)
    return x, (score > 0).astype("float32")[:, None]


def flat_digits(rows: int) -> Arrays:
    """784 numbers per row and one of ten classes."""
    x, y = digits(rows)
    return x.reshape(rows, -1), y


def digits(rows: int) -> Arrays:
    """Images of 28 by 28: a fixed pattern for each of ten classes, in noise."""
    random = np.random.default_rng(0)
    y = random.integers(0, 10, rows)
    patterns = random.uniform(size=(10, 28, 28, 1))
    x = 0.5 * patterns[y] + 0.5 * random.uniform(size=(rows, 28, 28, 1))
    return x.astype("float32"), y.astype("int32")


def small_model(keras: Any) -> Any:
    """Dense 20 to 64 to 1: the first program."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def dense_model(keras: Any) -> Any:
    """Dense 784 to 512 to 512 to 10."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def convolutional_model(keras: Any) -> Any:
    """Two convolutions with pooling, dropout, ten classes."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


SMALL = Workload("small", table, small_model, 10_000, 10, "binary_crossentropy", ("accuracy",))
DENSE = Workload(
    "dense", flat_digits, dense_model, 40 * 128, 128, "sparse_categorical_crossentropy"
)
CNN = Workload("cnn", digits, convolutional_model, 12 * 128, 128, "sparse_categorical_crossentropy")

WORKLOADS = {workload.name: workload for workload in (SMALL, DENSE, CNN)}
