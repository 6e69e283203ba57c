"""What a call of nested layers shares: the training flag, added losses, and masks."""

import contextlib
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax

from talweg.ops.keras_tensor import KerasTensor


@dataclass
class CallContext:
    """One outermost call.

    Attributes:
        training: the flag that inner layers inherit; None where nobody said.
        losses: what `add_loss` and activity regularizers contributed.
        masks: by the id of an array, the array and its mask; the array is held, so that no
            other gets its id.
    """

    training: bool | None = None
    losses: list[Any] = field(default_factory=list)
    masks: dict[int, tuple[Any, Any]] = field(default_factory=dict)


_context: ContextVar[CallContext | None] = ContextVar("talweg_call_context", default=None)

# Masks of tracers that left their outermost call, as in a training step of the user's own.
_left: dict[int, Any] = {}


def current() -> CallContext | None:
    """The call that is under way."""
    return _context.get()


@contextlib.contextmanager
def call_context(training: bool | None, losses: list[Any] | None = None) -> Iterator[CallContext]:
    """Open a call: inner layers see `training`, add to `losses`, and share the masks."""
    outer = _context.get()
    context = CallContext(
        training, [] if losses is None else losses, {} if outer is None else outer.masks
    )
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def mask_of(array: Any) -> Any:
    """The mask that travels with an array or a KerasTensor; None where there is none."""
    if isinstance(array, jax.core.Tracer):
        context = _context.get()
        if context is not None and id(array) in context.masks:
            return context.masks[id(array)][1]
        return _left.get(id(array))
    return getattr(array, "_keras_mask", None)


def set_mask(array: Any, mask: Any) -> None:
    """Let `mask` travel with `array`; None takes the mask away."""
    if isinstance(array, jax.core.Tracer):
        context = _context.get()
        if context is None:
            _publish(array, mask)
        else:
            context.masks[id(array)] = (array, mask)
    elif isinstance(array, (jax.Array, KerasTensor)):
        array._keras_mask = mask  # pyright: ignore[reportAttributeAccessIssue]


def masks_of(structure: Any) -> Any:
    """The masks of the arrays of a structure, in the same structure."""
    return jax.tree.map(mask_of, structure)


def set_masks(structure: Any, masks: Any) -> None:
    """Let each array of a structure have its mask, where one is given."""
    for array, mask in zip(_leaves(structure), _leaves(masks), strict=False):
        if mask is not None:
            set_mask(array, mask)


def drop_masks(structure: Any) -> None:
    """Take the masks of the arrays of a structure away."""
    for array in jax.tree.leaves(structure):
        if mask_of(array) is not None:
            set_mask(array, None)


def carry_mask(source: Any, target: Any) -> Any:
    """`target`, which stands for `source`, with the mask that `source` has."""
    if target is not source and (mask := mask_of(source)) is not None:
        set_mask(target, mask)
    return target


def keep_masks(structure: Any) -> None:
    """Keep the masks of what an outermost call returns beyond the call."""
    context = _context.get()
    if context is None or not context.masks:
        return
    for array in jax.tree.leaves(structure):
        if isinstance(array, jax.core.Tracer) and id(array) in context.masks:
            _publish(array, context.masks[id(array)][1])


def _publish(array: Any, mask: Any) -> None:
    if mask is None:
        _left.pop(id(array), None)
    elif mask is not array:
        _left[id(array)] = mask
        weakref.finalize(array, _left.pop, id(array), None)


def _leaves(structure: Any) -> list[Any]:
    return jax.tree.leaves(structure, is_leaf=lambda leaf: leaf is None)
