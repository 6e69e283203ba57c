"""Reshaping: the same numbers, arranged otherwise."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.layers.arguments import fields, integer
from talweg.layers.base import Layer
from talweg.layers.elementwise import Elementwise
from talweg.layers.input_spec import InputSpec

Shape = tuple[int | None, ...]


class Flatten(Layer):
    """One axis for all but the batch: (batch, a, b, c) to (batch, a b c).

    Args:
        data_format: with "channels_first" the channels are moved last before, so that
            the order of entries does not depend on it.

    >>> import numpy as np
    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], product(input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "data_format")}


class Reshape(Layer):
    """Each sample in another shape of the same size.

    Args:
        target_shape: the shape without the batch axis; one size may be -1.

    Raises:
        ValueError: two sizes are -1, or the sizes do not fit the input.

    >>> import numpy as np
    >>> Reshape((2, -1))(np.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = tuple(
            integer("Reshape", "each size of target_shape", size, minimum=-1)
            for size in target_shape
        )
        if self.target_shape.count(-1) > 1:
            raise errors.invalid("Reshape", "target_shape", "with one -1 at most", target_shape)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs.reshape(inputs.shape[0], *self._resolved(inputs.shape[1:]))

    def _resolved(self, sizes: Shape) -> Shape:
        total = product(sizes)
        known = math.prod(size for size in self.target_shape if size != -1)
        free = -1 in self.target_shape
        if total is not None and (known == 0 or total % known or not free) and total != known:
            raise errors.invalid(
                f"Layer {self.name!r}", "target_shape", f"of as many entries as {sizes}",
                self.target_shape,
            )  # fmt: skip
        rest = total // known if total is not None and known else None
        return tuple(rest if size == -1 else size for size in self.target_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], *self._resolved(tuple(input_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "target_shape")}


class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: the new order; axes count from 1, the batch axis 0 stays.

    Raises:
        ValueError: `dims` is no permutation of 1, …, n.

    >>> import numpy as np
    >>> Permute((2, 1))(np.ones((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise errors.invalid("Permute", "dims", "a permutation of 1, 2, …", dims)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return jnp.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], *(input_shape[axis] for axis in self.dims)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "dims")}


class RepeatVector(Layer):
    """Each vector `n` times: (batch, features) to (batch, n, features).

    Args:
        n: how often, a positive integer.

    >>> import numpy as np
    >>> RepeatVector(3)(np.ones((2, 5))).shape
    (2, 3, 5)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = integer("RepeatVector", "n", n, checks_type=True)
        self.input_spec = InputSpec(ndim=2)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        return jnp.broadcast_to(inputs[:, None, :], (batch, self.n, features))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], self.n, input_shape[1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "n")}


class Identity(Elementwise):
    """The input, unchanged; nested inputs too.

    >>> import numpy as np
    >>> Identity()(np.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def call(self, inputs: Any) -> Any:
        return inputs


def product(sizes: Sequence[int | None]) -> int | None:
    """The product of sizes; None where one is not known."""
    return None if None in sizes else math.prod(size for size in sizes if size is not None)
