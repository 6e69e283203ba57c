"""Rearrangement of axes by name."""

import math
import re
from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.ops.keras_tensor import Tensor, op

_GROUP = re.compile(r"\([^()]*\)|[^\s()]+")


@op
def rearrange(tensor: Tensor, pattern: str, **axes_lengths: int) -> Any:
    """Axes split, merged and permuted as the pattern says.

    Args:
        pattern: "before -> after"; parentheses mark an axis made of several.
        axes_lengths: the sizes of axes that cannot be told from the shape.

    Rogozhnikov, Einops, ICLR 2022.

    >>> rearrange(jnp.ones((2, 6)), "b (h c) -> b h c", h=2).shape
    (2, 2, 3)
    """
    before, arrow, after = pattern.partition("->")
    if not arrow:
        raise errors.invalid("rearrange", "pattern", "'before -> after'", pattern)
    groups = [_names(group) for group in _GROUP.findall(before)]
    tensor = jnp.asarray(tensor)
    if len(groups) != tensor.ndim:
        raise errors.invalid("rearrange", "pattern", f"one of {tensor.ndim} axes", pattern)
    sizes = dict(axes_lengths)
    for names, whole in zip(groups, tensor.shape, strict=True):
        unknown = [name for name in names if name not in sizes]
        if len(unknown) > 1:
            raise errors.invalid("rearrange", "axes_lengths", f"with {unknown[0]!r}", axes_lengths)
        known = math.prod(sizes[name] for name in names if name in sizes)
        if unknown and known:
            sizes[unknown[0]] = whole // known
        if math.prod(sizes[name] for name in names) != whole:
            raise errors.invalid("rearrange", "the sizes", f"{whole} together in {names}", sizes)
    order = [name for names in groups for name in names]
    targets = [_names(group) for group in _GROUP.findall(after)]
    wanted = [name for names in targets for name in names]
    if sorted(order) != sorted(wanted):
        raise errors.invalid(
            "rearrange", "pattern", "one with the same axes on both sides", pattern
        )
    split = tensor.reshape([sizes[name] for name in order])
    moved = split.transpose([order.index(name) for name in wanted])
    return moved.reshape([math.prod(sizes[name] for name in names) for names in targets])


def _names(group: str) -> list[str]:
    return group.strip("()").split()
