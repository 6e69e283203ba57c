"""Dropout and its relatives: random zeros during training, nothing otherwise."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.core.random import SeedGenerator
from talweg.layers.arguments import fields, integer, number
from talweg.layers.elementwise import Elementwise
from talweg.layers.input_spec import InputSpec


class Dropout(Elementwise):
    """Sets entries to 0 with probability `rate`, divides the others by 1 - `rate`.

    Only during training; otherwise the identity. Srivastava et al., JMLR 15 (2014).

    Args:
        rate: the share to drop, in [0, 1). Keras accepts 1.0 and returns zeros.
        noise_shape: shape of the mask, which is broadcast; None takes the input's size
            there. `(None, 1, None)` drops the same entries at every time step.
        seed: an integer for a mask that repeats; with the same seed it is Keras's.

    Raises:
        ValueError: `rate` or `noise_shape` is out of range.

    >>> import numpy as np
    >>> dropout = Dropout(0.5, seed=0)
    >>> sorted(set(dropout(np.ones(100), training=True).tolist()))
    [0.0, 2.0]
    >>> float(dropout(np.ones(100)).min())
    1.0
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.rate = number(owner, "rate", rate, below=1.0)
        self.seed = seed
        self.noise_shape = _noise_shape(owner, noise_shape)
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        keep = 1.0 - self.rate
        kept = jax.random.bernoulli(self.seed_generator.next(), keep, self._mask_shape(inputs))
        return jnp.where(kept, inputs / keep, jnp.zeros((), inputs.dtype))

    def _mask_shape(self, inputs: Any) -> tuple[int, ...]:
        return concrete(self.noise_shape, inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "rate", "seed", "noise_shape")}


class SpatialDropout1D(Dropout):
    """Dropout of whole channels of a sequence (batch, steps, channels).

    Tompson et al., CVPR 2015, arXiv:1411.4280.

    Args:
        rate: the share of channels to drop, in [0, 1).
        seed: an integer for a mask that repeats.

    >>> import numpy as np
    >>> y = SpatialDropout1D(0.5, seed=0)(np.ones((1, 4, 3)), training=True)
    >>> bool((y[:, 0] == y[:, 1]).all())
    True
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)

    def _mask_shape(self, inputs: Any) -> tuple[int, ...]:
        return inputs.shape[0], 1, inputs.shape[2]

    def get_config(self) -> dict[str, Any]:
        return {**fields(self, "rate", "seed", "name"), "dtype": self.dtype_policy.name}


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of images (batch, rows, columns, channels).

    Args:
        rate: the share of channels to drop, in [0, 1).
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        seed: an integer for a mask that repeats.

    >>> import numpy as np
    >>> y = SpatialDropout2D(0.5, seed=0)(np.ones((1, 2, 2, 3)), training=True)
    >>> bool((y[:, 0, 0] == y[:, 1, 1]).all())
    True
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _mask_shape(self, inputs: Any) -> tuple[int, ...]:
        inner = (1,) * (inputs.ndim - 2)
        if self.data_format == "channels_first":
            return *inputs.shape[:2], *inner
        return inputs.shape[0], *inner, inputs.shape[-1]

    def get_config(self) -> dict[str, Any]:
        names = ("rate", "seed", "name", "data_format")
        return {**fields(self, *names), "dtype": self.dtype_policy.name}


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels of volumes (batch, depth, rows, columns, channels).

    Args: as of `SpatialDropout2D`.

    >>> import numpy as np
    >>> y = SpatialDropout3D(0.5, seed=0)(np.ones((1, 2, 2, 2, 3)), training=True)
    >>> bool((y[:, 0, 0, 0] == y[:, 1, 1, 1]).all())
    True
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, data_format, seed, name, dtype)
        self.input_spec = InputSpec(ndim=5)


class AlphaDropout(Elementwise):
    """Dropout that keeps mean 0 and variance 1 of self-normalizing activations.

    Dropped entries take SELU's lower limit α' = -1.7581; with q = 1 - rate, then
    `a x + b`, a = (q (1 + rate α'²))^(-1/2), b = -a rate α'.
    Klambauer et al., NeurIPS 2017, arXiv:1706.02515.

    Args:
        rate: the share to drop, in [0, 1).
        noise_shape: as of `Dropout`.
        seed: an integer for a mask that repeats.

    >>> import numpy as np
    >>> len(set(AlphaDropout(0.5, seed=0)(np.zeros(100), training=True).tolist()))
    2
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rate = number("AlphaDropout", "rate", rate, below=1.0)
        self.seed = seed
        self.noise_shape = _noise_shape("AlphaDropout", noise_shape)
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        low = -1.6732632423543772 * 1.0507009873554805
        key, shape = self.seed_generator.next(), concrete(self.noise_shape, inputs)
        kept = jax.random.uniform(key, shape) >= self.rate
        a = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        b = -a * low * self.rate
        return a * jnp.where(kept, inputs, jnp.asarray(low, inputs.dtype)) + b

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "rate", "seed", "noise_shape")}


def concrete(noise_shape: Sequence[int | None] | None, inputs: Any) -> tuple[int, ...]:
    """The shape of the mask for `inputs`: its unknown sizes are the input's."""
    if noise_shape is None:
        return inputs.shape
    if len(noise_shape) != inputs.ndim:
        raise errors.invalid("Dropout", "noise_shape", f"of {inputs.ndim} sizes", noise_shape)
    pairs = zip(noise_shape, inputs.shape, strict=True)
    return tuple(size if wanted is None else wanted for wanted, size in pairs)


def _noise_shape(owner: str, noise_shape: Any) -> tuple[int | None, ...] | None:
    if noise_shape is None:
        return None
    if not isinstance(noise_shape, (list, tuple)):
        raise errors.invalid(owner, "noise_shape", "a tuple of integers or None", noise_shape)
    return tuple(
        size if size is None else integer(owner, "each size of noise_shape", size)
        for size in noise_shape
    )
