"""The masks that travel with arrays: which time steps of a batch count."""

import weakref
from contextvars import ContextVar
from typing import Any

from jax.core import Tracer

# Of the tracers of the outermost call that is under way: by the id of a tracer, the tracer and
# its mask. The tracer is held, so that no other gets its id.
under_way: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("talweg_masks", default=None)

# Masks of tracers that left their outermost call, as in a training step of the user's own.
_left: dict[int, Any] = {}


def mask_of(array: Any) -> Any:
    """The mask that travels with an array or a KerasTensor; None where there is none.

    >>> import jax.numpy as jnp
    >>> steps = jnp.ones((1, 2))
    >>> set_mask(steps, jnp.array([[True, False]]))
    >>> mask_of(steps).tolist(), mask_of(steps + 1)
    ([[True, False]], None)
    """
    if isinstance(array, Tracer):
        masks = under_way.get()
        if masks is not None and id(array) in masks:
            return masks[id(array)][1]
        return _left.get(id(array))
    return getattr(array, "_keras_mask", None)


def set_mask(array: Any, mask: Any) -> None:
    """Let `mask` travel with an array or a KerasTensor; None takes the mask away."""
    if isinstance(array, Tracer):
        masks = under_way.get()
        if masks is None:
            publish(array, mask)
        else:
            masks[id(array)] = (array, mask)
    else:
        array._keras_mask = mask


def publish(array: Any, mask: Any) -> None:
    """Let `mask` travel with a tracer beyond the call that made it, as long as the tracer lives."""
    if mask is None:
        _left.pop(id(array), None)
    elif mask is not array:
        _left[id(array)] = mask
        weakref.finalize(array, _left.pop, id(array), None)
