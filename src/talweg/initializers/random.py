"""Initializers that draw from one distribution, whatever the shape."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.initializers.base import RandomInitializer, draw_dtype, float_dtype


class RandomNormal(RandomInitializer):
    """Normal draws.

    Args:
        mean: of the distribution.
        stddev: its standard deviation, not negative.
        seed: see `RandomInitializer`.

    >>> RandomNormal(seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = _not_negative(self, stddev)
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        dtype = float_dtype(self, dtype)
        return normal(self.generator(), shape, self.mean, self.stddev, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomInitializer):
    """Normal draws, those beyond two standard deviations drawn again.

    The cut makes the spread 0.8796 of `stddev`, as in Keras.

    Args:
        mean: of the distribution.
        stddev: the standard deviation before the cut, not negative.
        seed: see `RandomInitializer`.

    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)((1000,))).max() <= 2.0)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = _not_negative(self, stddev)
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        dtype = float_dtype(self, dtype)
        return truncated_normal(self.generator(), shape, self.mean, self.stddev, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class RandomUniform(RandomInitializer):
    """Uniform draws from [minval, maxval).

    Args:
        minval: the lower bound.
        maxval: the upper bound, not below the lower one.
        seed: see `RandomInitializer`.

    >>> values = RandomUniform(0.0, 1.0, seed=1)((1000,))
    >>> bool(0 <= values.min() and values.max() < 1)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        if not minval <= maxval:
            raise errors.invalid("RandomUniform", "maxval", f"at least minval ({minval})", maxval)
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        dtype = float_dtype(self, dtype)
        return uniform(self.generator(), shape, self.minval, self.maxval, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class Orthogonal(RandomInitializer):
    """A random orthogonal matrix times `gain`.

    The Q of the QR decomposition of normal draws, its signs fixed so that Q is uniform
    over the orthogonal group. All axes but the last are taken as rows; where there are
    more columns than rows the rows are orthonormal, otherwise the columns.

    Args:
        gain: the factor, 1.0 by default.
        seed: see `RandomInitializer`.

    Raises:
        ValueError: the shape has less than two axes.

    Saxe, McClelland & Ganguli, ICLR 2014, arXiv:1312.6120.

    >>> q = Orthogonal(seed=1)((3, 3))
    >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-5))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) < 2:
            raise errors.invalid("Orthogonal", "shape", "of two axes or more", tuple(shape))
        dtype = float_dtype(self, dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(self.generator().standard_normal(tall, dtype=draw_dtype(dtype)))
        q = q * np.where(np.diag(r) < 0, -1, 1).astype(q.dtype)
        q = q.T if rows < columns else q
        return (self.gain * q).reshape(tuple(shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


def normal(
    generator: np.random.Generator, shape: Sequence[int], mean: float, stddev: float, dtype: Any
) -> np.ndarray:
    """Normal draws of `shape` and `dtype`."""
    draws = generator.standard_normal(tuple(shape), dtype=draw_dtype(dtype))
    return np.asarray(draws * stddev + mean).astype(dtype, copy=False)


def truncated_normal(
    generator: np.random.Generator, shape: Sequence[int], mean: float, stddev: float, dtype: Any
) -> np.ndarray:
    """Normal draws within two standard deviations of the mean."""
    draws = generator.standard_normal(math.prod(shape), dtype=draw_dtype(dtype))
    outside = np.flatnonzero(np.abs(draws) > 2)
    while outside.size:
        again = generator.standard_normal(outside.size, dtype=draw_dtype(dtype))
        draws[outside] = again
        outside = outside[np.abs(again) > 2]
    return (draws * stddev + mean).reshape(tuple(shape)).astype(dtype, copy=False)


def uniform(
    generator: np.random.Generator, shape: Sequence[int], minval: float, maxval: float, dtype: Any
) -> np.ndarray:
    """Uniform draws from [minval, maxval)."""
    draws = generator.random(tuple(shape), dtype=draw_dtype(dtype))
    return np.asarray(draws * (maxval - minval) + minval).astype(dtype, copy=False)


def _not_negative(owner: object, stddev: float) -> float:
    if not stddev >= 0:
        raise errors.invalid(type(owner).__name__, "stddev", "a number, not negative", stddev)
    return stddev
