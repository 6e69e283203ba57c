"""Masks: which time steps count, handed from layer to layer."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax

from talweg.layers import context
from talweg.layers.tracking import Tracked
from talweg.ops.keras_tensor import applied, is_symbolic


class Masked(Tracked):
    """The part of `Layer` that receives masks with its inputs and gives them to its outputs."""

    supports_masking: bool = False
    call: Callable[..., Any]

    # Whether the layer is a model, which does nothing but call its layers.
    carries_layers = False
    # Whether the layers inside hand the masks on, so that the layer itself need not.
    carries_masks = False

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output: that of the input, unless a subclass knows better.

        Asked only where `supports_masking` is True, which it is for a class with its own.

        Args:
            inputs: the first argument of the call.
            previous_mask: its mask, in its structure; None where there is none.
        """
        return previous_mask

    def _incoming_mask(self, args: Any, kwargs: Any, inputs: Any) -> Any:
        """Fill the masks that `call` takes and was not given; returns that of the input."""
        wanted = _mask_parameters(type(self))
        if wanted:
            bound = {**dict(zip(call_parameters(type(self)), args, strict=False)), **kwargs}
            arrays = {k: v for k, v in bound.items() if not is_mask_name(k) and is_arrays(v)}
            if len(arrays) == 1:
                found = {"mask": next(iter(arrays.values()))}
            else:
                found = {f"{name}_mask": value for name, value in arrays.items()}
            for name, value in found.items():
                if name in wanted and bound.get(name) is None:
                    mask = context.masks_of(value)
                    if mask is not None:
                        kwargs[name] = mask
        given = kwargs.get("mask")
        return context.masks_of(inputs) if given is None else given

    def _outgoing_mask(self, inputs: Any, outputs: Any, previous_mask: Any) -> None:
        """Give the outputs their masks, or say that a mask ends here."""
        if self.supports_masking:
            leaves = jax.tree.leaves(outputs)
            if all(context.mask_of(leaf) is not None for leaf in leaves):
                return
            if type(self).compute_mask is Masked.compute_mask:
                masks = previous_mask
            elif is_symbolic(inputs):
                masks = applied(self.compute_mask, (inputs, previous_mask), {})
            else:
                masks = self.compute_mask(inputs, previous_mask)
            flat = jax.tree.leaves(masks, is_leaf=lambda mask: mask is None)
            for leaf, mask in zip(leaves, flat, strict=False):
                if mask is not None and context.mask_of(leaf) is None:
                    context.set_mask(leaf, mask)
        elif not self.carries_masks and jax.tree.leaves(previous_mask):
            warnings.warn(
                f"Layer {self.name!r} ({type(self).__name__}) does not support masking: the mask "
                "of its input ends here, and the layers behind it see every step.",
                stacklevel=3,
            )


@functools.cache
def call_parameters(cls: Any) -> dict[str, inspect.Parameter]:
    """The parameters of the `call` of a class of layers, by name."""
    return dict(list(inspect.signature(cls.call).parameters.items())[1:])


def is_arrays(value: Any) -> bool:
    """Whether a structure holds arrays only, at least one."""
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


@functools.cache
def _mask_parameters(cls: type) -> tuple[str, ...]:
    return tuple(filter(is_mask_name, call_parameters(cls)))


def is_mask_name(name: str) -> bool:
    """Whether a parameter of `call` takes a mask."""
    return name == "mask" or name.endswith("_mask")
