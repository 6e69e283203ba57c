"""What every initializer is: a function of a shape and a type, made of a config."""

from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.dtypes import is_float, standardize_dtype
from talweg.core.random import SeedGenerator, draw_seed, host_generator
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object


class Initializer:
    """Base of initializers: `initializer(shape, dtype)` makes a NumPy array.

    Subclass it, define `__call__`, and `get_config` where there are arguments.

    >>> class Halves(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype or "float32")
    >>> Halves()((2,)).tolist()
    [0.5, 0.5]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """An array of `shape` and `dtype` (`floatx()` where None)."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__().")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The initializer that `get_config` described."""
        return cls(**config)

    def clone(self) -> Self:
        """An initializer of its own with the same config."""
        return self.from_config(self.get_config())


class RandomInitializer(Initializer):
    """Base of initializers that draw.

    Values are drawn on the host with NumPy's PCG64, so that nothing is compiled to make
    a weight; they follow the distributions of Keras but are not its bits.

    Args:
        seed: an integer makes every call of this object give the same values; a
            `SeedGenerator` gives new ones at each call; None draws a new seed of the
            global sequence at each call. (In Keras an initializer without a seed repeats
            itself, so that two layers that share it start equal.)

    Raises:
        TypeError: the seed is none of these.
    """

    def __init__(self, seed: int | SeedGenerator | dict[str, Any] | None = None):
        if isinstance(seed, dict):
            seed = _seed_of_record(seed)
        good = seed is None or isinstance(seed, (int, np.integer, SeedGenerator))
        if not good or isinstance(seed, bool):
            raise errors.wrong_type(
                type(self).__name__, "seed", "an integer, a SeedGenerator or None", seed
            )
        self.seed = int(seed) if isinstance(seed, np.integer) else seed

    def generator(self) -> np.random.Generator:
        """The source of this call's draws."""
        if self.seed is None:
            return host_generator(draw_seed())
        if isinstance(self.seed, SeedGenerator):
            state = self.seed.state
            key = np.asarray(state.value)
            state.assign(key + np.array([0, 1], np.uint32))
            return host_generator(*key)
        return host_generator(self.seed % 2**64)

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize_keras_object(self.seed)}


def _seed_of_record(record: dict[str, Any]) -> SeedGenerator:
    if record.get("class_name") == "SeedGenerator":
        return SeedGenerator.from_config(record["config"])
    return deserialize_keras_object(record)


def numpy_dtype(dtype: Any) -> np.dtype:
    """The NumPy type of `dtype`, `floatx()` where None; bfloat16 included."""
    return jnp.dtype(standardize_dtype(dtype))


def float_dtype(owner: object, dtype: Any) -> np.dtype:
    """As `numpy_dtype`, refusing what cannot hold a draw."""
    if not is_float(dtype):
        raise errors.invalid(type(owner).__name__, "dtype", "a floating type", dtype)
    return numpy_dtype(dtype)


def draw_dtype(dtype: np.dtype) -> type[np.float32] | type[np.float64]:
    """The type to draw in: half types are rounded from float32."""
    return np.float64 if dtype == np.float64 else np.float32
