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
        loss: Keras's name of the loss, or `(keras or talweg) -> loss`.
        metrics: Keras's names of the metrics.
        seconds: how long a measurement lasts, about: long against clock and scheduler.
    """

    name: str
    data: Callable[[int], Arrays]
    model: Callable[[Any], Any]
    rows: int
    batch_size: int
    loss: str | Callable[[Any], Any]
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


def waves(rows: int) -> Arrays:
    """Sequences of 64 steps with 16 features, noise around waves, and what they sum to."""
    random = np.random.default_rng(0)
    phase = random.uniform(0, 2 * np.pi, size=(rows, 1, 16))
    x = np.sin(phase + np.arange(64)[:, None] / 8) + 0.1 * random.normal(size=(rows, 64, 16))
    return x.astype("float32"), np.tanh(x[:, -8:].sum((1, 2)) / 32).astype("float32")[:, None]


def tokens(rows: int) -> Arrays:
    """Sequences of 64 tokens out of 1,000 and their next ones: each follows from the last."""
    random = np.random.default_rng(0)
    follows = random.permutation(1000)
    sequence = np.empty((rows, 65), "int32")
    sequence[:, 0] = random.integers(0, 1000, rows)
    for step in range(64):
        strays = random.uniform(size=rows) < 0.1
        sequence[:, step + 1] = np.where(
            strays, random.integers(0, 1000, rows), follows[sequence[:, step]]
        )
    return sequence[:, :-1], sequence[:, 1:]


def reviews(rows: int) -> Arrays:
    """Texts of 200 words out of 20,000, and whether low ones prevail."""
    return _words(rows, 200, 20_000)


def baskets(rows: int) -> Arrays:
    """20 items out of 500,000, and whether low ones prevail."""
    return _words(rows, 20, 500_000)


def _words(rows: int, length: int, kinds: int) -> Arrays:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, rows)
    x = kinds * random.uniform(size=(rows, length)) ** (1 + y[:, None])
    return x.astype("int32"), y.astype("float32")[:, None]


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


def recurrent_model(keras: Any) -> Any:
    """LSTM(64) over 64 steps of 16 features, then one number."""
    layers = keras.layers
    return keras.Sequential([keras.Input((64, 16)), layers.LSTM(64), layers.Dense(1)])


def transformer_model(keras: Any) -> Any:
    """A causal transformer: two layers, width 128, four heads, vocabulary 1,000; logits."""
    layers = keras.layers

    class Positions(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight(
                shape=input_shape[1:], initializer="random_normal", name="table"
            )

        def call(self, inputs: Any) -> Any:
            return inputs + self.table

    inputs = keras.Input((64,), dtype="int32")
    x = Positions()(layers.Embedding(1000, 128)(inputs))
    for _ in range(2):
        attended = layers.MultiHeadAttention(num_heads=4, key_dim=32)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization()(x + attended)
        hidden = layers.Dense(128)(layers.Dense(512, activation="relu")(x))
        x = layers.LayerNormalization()(x + hidden)
    return keras.Model(inputs, layers.Dense(1000)(x))


def _bag_model(kinds: int, width: int, length: int) -> Callable[[Any], Any]:
    """The mean of the embeddings of what is in the bag, then yes or no."""

    def model(keras: Any) -> Any:
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((length,), dtype="int32"),
                layers.Embedding(kinds, width),
                layers.GlobalAveragePooling1D(),
                layers.Dense(1, activation="sigmoid"),
            ]
        )

    return model


def _of_logits(keras: Any) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


SMALL = Workload("small", table, small_model, 10_000, 10, "binary_crossentropy", ("accuracy",))
DENSE = Workload(
    "dense", flat_digits, dense_model, 40 * 128, 128, "sparse_categorical_crossentropy"
)
CNN = Workload("cnn", digits, convolutional_model, 12 * 128, 128, "sparse_categorical_crossentropy")
LSTM = Workload("lstm", waves, recurrent_model, 16 * 64, 64, "mse")
TRANSFORMER = Workload("transformer", tokens, transformer_model, 12 * 32, 32, _of_logits)
EMBEDDING = Workload(
    "embedding", reviews, _bag_model(20_000, 64, 200), 40 * 128, 128, "binary_crossentropy"
)
TABLE = Workload(
    "table", baskets, _bag_model(500_000, 32, 20), 40 * 128, 128, "binary_crossentropy"
)

WORKLOADS = {
    workload.name: workload for workload in (SMALL, DENSE, CNN, LSTM, TRANSFORMER, EMBEDDING, TABLE)
}
