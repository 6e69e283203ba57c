"""Data sets that everybody knows, each with `load_data()`.

Files are downloaded once into $KERAS_HOME/datasets (~/.keras/datasets, which Keras shares),
compared with their published SHA-256, and read without running anything that they hold.
Without a network and without a file in the cache, the error names the address.
"""

from talweg.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
