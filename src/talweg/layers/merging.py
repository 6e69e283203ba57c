"""Merging: several inputs become one."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg import ops
from talweg.core import errors
from talweg.layers import context
from talweg.layers.arguments import fields, integer, integers
from talweg.layers.base import Layer
from talweg.ops.keras_tensor import KerasTensor


class Merge(Layer):
    """Base of layers that take a list of inputs.

    Inputs of lower rank get axes of size 1 after the batch axis.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def merge(self, inputs: list[Any]) -> Any:
        """The output, from inputs of equal rank."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        rank = max(x.ndim for x in inputs)
        missing = [tuple(range(1, 1 + rank - x.ndim)) for x in inputs]
        aligned = [
            context.carry_mask(x, jnp.expand_dims(x, at)) if at else x
            for x, at in zip(inputs, missing, strict=True)
        ]
        return self.merge(aligned)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where any input counts; None as soon as one has no mask."""
        masks = self._masks(inputs, previous_mask)
        return None if any(mask is None for mask in masks) else reduce(ops.logical_or, masks)

    def _masks(self, inputs: Any, masks: Any) -> list[Any]:
        if masks is None:
            return [None]
        listed = isinstance(masks, (list, tuple)) and isinstance(inputs, (list, tuple))
        if not listed or len(masks) != len(inputs):
            raise errors.invalid(f"Layer {self.name!r}", "mask", "a list, one per input", masks)
        return list(masks)

    def _check(self, inputs: Any, count: int | None = None) -> None:
        listed = isinstance(inputs, (list, tuple)) and len(inputs) > 0
        if not listed or count not in (None, len(inputs)):
            expected = "a list of arrays" if count is None else f"a list of {count} arrays"
            got = len(inputs) if listed else inputs
            raise errors.invalid(f"Layer {self.name!r}", "the input", expected, got)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


class Add(Merge):
    """The sum of the inputs.

    >>> import numpy as np
    >>> Add()([np.array([1.0]), np.array([2.0])]).tolist()
    [3.0]
    """

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(jnp.add, inputs)


class Subtract(Merge):
    """The first input minus the second.

    >>> import numpy as np
    >>> Subtract()([np.array([1.0]), np.array([2.0])]).tolist()
    [-1.0]
    """

    def merge(self, inputs: list[Any]) -> Any:
        self._check(inputs, 2)
        return jnp.subtract(*inputs)


class Multiply(Merge):
    """The product of the inputs; what a mask hides counts as 1, or 0 where all do.

    >>> import numpy as np
    >>> Multiply()([np.array([3.0]), np.array([2.0])]).tolist()
    [6.0]
    """

    def merge(self, inputs: list[Any]) -> Any:
        masks = [context.mask_of(x) for x in inputs]
        if all(mask is None for mask in masks):
            return reduce(jnp.multiply, inputs)
        factors = [
            x if mask is None else jnp.where(mask[..., None], x, jnp.ones((), x.dtype))
            for x, mask in zip(inputs, masks, strict=True)
        ]
        product = reduce(jnp.multiply, factors)
        if any(mask is None for mask in masks):
            return product
        return jnp.where(reduce(jnp.logical_or, masks)[..., None], product, 0)


class Average(Merge):
    """The mean of the inputs.

    >>> import numpy as np
    >>> Average()([np.array([1.0]), np.array([2.0])]).tolist()
    [1.5]
    """

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(jnp.add, inputs) / len(inputs)


class Maximum(Merge):
    """The largest of the inputs, entry by entry; what a mask hides does not compete.

    >>> import numpy as np
    >>> Maximum()([np.array([1.0]), np.array([2.0])]).tolist()
    [2.0]
    """

    def merge(self, inputs: list[Any]) -> Any:
        return _among_unmasked(jnp.maximum, inputs)


class Minimum(Merge):
    """The smallest of the inputs, entry by entry; what a mask hides does not compete.

    >>> import numpy as np
    >>> Minimum()([np.array([1.0]), np.array([2.0])]).tolist()
    [1.0]
    """

    def merge(self, inputs: list[Any]) -> Any:
        return _among_unmasked(jnp.minimum, inputs)


class Concatenate(Merge):
    """The inputs one after the other along `axis`; the other sizes must agree.

    Args:
        axis: the axis, the last by default.

    >>> import numpy as np
    >>> Concatenate()([np.ones((2, 3)), np.ones((2, 1))]).shape
    (2, 4)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = integer("Concatenate", "axis", axis, minimum=-64)

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        shapes = [tuple(x.shape) for x in inputs]
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise errors.invalid(f"Layer {self.name!r}", "axis", f"in [{-rank}, {rank})", self.axis)
        rest = {shape[: self.axis % rank] + shape[self.axis % rank + 1 :] for shape in shapes}
        if len({len(shape) for shape in shapes}) > 1 or len(rest) > 1:
            raise errors.invalid(
                f"Layer {self.name!r}", "the inputs' shapes", f"equal but on axis {self.axis}",
                shapes,
            )  # fmt: skip
        return jnp.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where any input counts; an input without a mask counts everywhere."""
        masks = self._masks(inputs, previous_mask)
        if all(mask is None for mask in masks):
            return None
        whole = [
            jnp.ones(x.shape, bool) if mask is None
            else jnp.broadcast_to(mask[..., None], x.shape) if mask.ndim < x.ndim else mask
            for x, mask in zip(inputs, masks, strict=True)
        ]  # fmt: skip
        return jnp.any(jnp.concatenate(whole, self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axis")}


class Dot(Merge):
    """The dot product of two inputs along an axis of each, sample by sample.

    (batch, a…, n, b…) and (batch, c…, n, d…) become (batch, a…, b…, c…, d…); two inputs of
    rank 2 become (batch, 1).

    Args:
        axes: the axis in both, or one for each; not the batch axis.
        normalize: whether both are divided by their norm along it: the cosine.

    >>> import numpy as np
    >>> Dot(axes=1)([np.ones((2, 3)), np.ones((2, 3))]).tolist()
    [[3.0], [3.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        integers("Dot", "axes", axes, 2, minimum=-64)
        self.axes = axes
        self.normalize = normalize

    def call(self, inputs: Any) -> Any:
        self._check(inputs, 2)
        x, y = inputs
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        a, b = pair[0] % x.ndim, pair[1] % y.ndim
        if a == 0 or b == 0 or x.shape[a] != y.shape[b]:
            raise errors.invalid(
                f"Layer {self.name!r}", "axes", "axes of equal size, behind the batch axis",
                self.axes, f"The inputs have shapes {x.shape} and {y.shape}.",
            )  # fmt: skip
        if self.normalize:
            x, y = _unit(x, a), _unit(y, b)
        output = lax.dot_general(x, y, (((a,), (b,)), ((0,), (0,))))
        return output[:, None] if output.ndim == 1 else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axes", "normalize")}


def _among_unmasked(operation: Any, inputs: list[Any]) -> Any:
    """`operation` over the inputs; where one is masked, the others decide."""
    output, output_mask = inputs[0], context.mask_of(inputs[0])
    for x in inputs[1:]:
        mask = context.mask_of(x)
        mine = x if mask is None else jnp.where(mask[..., None], x, output)
        if output_mask is not None:
            output = jnp.where(output_mask[..., None], output, mine)
        both = mask is not None and output_mask is not None
        output_mask = jnp.logical_or(mask, output_mask) if both else None
        output = operation(output, mine)
    return output


def _unit(x: Any, axis: int) -> Any:
    squares = jnp.sum(x * x, axis, keepdims=True)
    return x * lax.rsqrt(jnp.maximum(squares, 1e-14))


Inputs = Sequence[Any | KerasTensor]


def add(inputs: Inputs, **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Inputs, **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Inputs, **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Inputs, **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Inputs, **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Inputs, **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Inputs, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Inputs, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)
