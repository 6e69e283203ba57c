"""What a call of nested layers shares: the training flag, added losses, and masks."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax

from talweg.core import masks as travelling
from talweg.core.masks import mask_of
from talweg.ops.keras_tensor import KerasTensor


@dataclass
class CallContext:
    """One outermost call.

    Attributes:
        training: the flag that inner layers inherit; None where nobody said.
        losses: what `add_loss` and activity regularizers contributed.
    """

    training: bool | None = None
    losses: list[Any] = field(default_factory=list)


_context: ContextVar[CallContext | None] = ContextVar("talweg_call_context", default=None)


def current() -> CallContext | None:
    """The call that is under way."""
    return _context.get()


@contextlib.contextmanager
def call_context(training: bool | None, losses: list[Any] | None = None) -> Iterator[CallContext]:
    """Open a call: inner layers see `training`, add to `losses`, and share the masks."""
    outermost = _context.get() is None
    token = _context.set(context := CallContext(training, [] if losses is None else losses))
    if outermost:
        shared = travelling.under_way.set({})
    try:
        yield context
    finally:
        _context.reset(token)
        if outermost:
            travelling.under_way.reset(shared)


def set_mask(array: Any, mask: Any) -> None:
    """Let `mask` travel with `array`, where it is one; None takes the mask away."""
    if isinstance(array, (jax.Array, KerasTensor)):
        travelling.set_mask(array, mask)


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
    masks = travelling.under_way.get()
    if not masks:
        return
    for array in jax.tree.leaves(structure):
        if isinstance(array, jax.core.Tracer) and id(array) in masks:
            travelling.publish(array, masks[id(array)][1])


def _leaves(structure: Any) -> list[Any]:
    return jax.tree.leaves(structure, is_leaf=lambda leaf: leaf is None)
