"""InputSpec: what a layer accepts, checked before it computes."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from talweg.core import errors
from talweg.core.dtypes import standardize_dtype


class InputSpec:
    """Rank, shape and type that an input must have.

    Args:
        dtype: the type, or None for any.
        shape: the shape, None where any size will do.
        ndim: the rank; min_ndim, max_ndim: its bounds.
        axes: sizes of single axes, `{axis: size}`.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def check(self, owner: str, shape: Sequence[int | None]) -> None:
        """Refuse a shape that does not fit.

        Raises:
            ValueError: naming the layer, what it expects and the shape that came.
        """
        shape = tuple(shape)
        rank = len(shape)

        def refuse(expected: str) -> ValueError:
            return errors.invalid(f"Layer {owner!r}", "the input", expected, shape)

        if self.ndim is not None and rank != self.ndim:
            raise refuse(f"of rank {self.ndim}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise refuse(f"of rank {self.min_ndim} or more")
        if self.max_ndim is not None and rank > self.max_ndim:
            raise refuse(f"of rank {self.max_ndim} or less")
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise refuse(f"of size {size} on axis {axis}")
        if self.shape is not None:
            for wanted, size in zip(self.shape, shape, strict=True):
                if wanted is not None and size is not None and wanted != size:
                    raise refuse(f"of shape {self.shape}")

    def __repr__(self) -> str:
        return f"InputSpec(shape={self.shape}, ndim={self.ndim}, axes={self.axes})"


def check_inputs(owner: str, spec: Any, inputs: Any) -> None:
    """Check each array of `inputs` against its spec."""
    if inputs is None:
        raise errors.invalid(f"Layer {owner!r}", "the input", "a tensor", None)
    specs = jax.tree.leaves(spec, is_leaf=lambda item: isinstance(item, InputSpec))
    arrays = jax.tree.leaves(inputs)
    if len(specs) != len(arrays):
        raise errors.invalid(f"Layer {owner!r}", "the input", f"{len(specs)} arrays", len(arrays))
    for single, array in zip(specs, arrays, strict=True):
        if hasattr(array, "shape"):
            single.check(owner, array.shape)


def refuse_nothing(owner: str, parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse a call without arguments, where `call` needs some.

    Args:
        owner: the name of the layer.
        parameters: those of its `call`.

    Raises:
        TypeError: naming the first that is missing.
    """
    for name, parameter in parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not variadic:
            raise TypeError(
                f"Layer {owner!r} was called without {name!r}. Give it a tensor or an array: "
                "layer(x)."
            )


def check_positional(owner: str, args: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse flags and numbers by position, as Keras does: only tensors come without a name.

    Args:
        owner: the name of the layer.
        args: what it is called with by position.
        names: the parameters of its `call`.

    Raises:
        ValueError: something among `args` has no shape.
    """
    for place, given in enumerate(args):
        for leaf in jax.tree.leaves(given):
            if not hasattr(leaf, "shape"):
                by_name = f"Pass it by name: {names[place]}=…." if 0 < place < len(names) else ""
                raise errors.invalid(
                    f"Layer {owner!r}", "what it is called with by position", "tensors", leaf,
                    by_name or "Make it an array: numpy.asarray(…).",
                )  # fmt: skip
