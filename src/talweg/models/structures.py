"""Outputs in structures inside structures: their names, and what `compile` says of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from talweg.core import errors


def is_nested(outputs: Any) -> bool:
    """Whether structures are inside the structure of the outputs."""
    return any(len(path) > 1 for path, _ in jax.tree_util.tree_leaves_with_path(outputs))


def path_names(outputs: Any, names: Sequence[str]) -> list[str]:
    """The ways to the outputs, in the order of `jax.tree.leaves`.

    Args:
        outputs: a structure of tensors.
        names: the names of the leaves, which stand for positions at the end of a way.

    >>> path_names({"b": [1, 2], "a": 3}, ["x", "y", "z"])
    ['a', 'b/y', 'b/z']
    """
    found = []
    for (path, _), name in zip(jax.tree_util.tree_leaves_with_path(outputs), names, strict=True):
        last = path[-1] if path else None
        end = str(last.key) if isinstance(last, jax.tree_util.DictKey) else name
        begin = jax.tree_util.keystr(path[:-1], simple=True, separator="/")
        found.append(f"{begin}/{end}" if begin else end)
    return found


def along(given: Any, outputs: Any, what: str) -> list[Any]:
    """One item for each output, from what was given in the structure of the outputs, or for all.

    A dict may leave outputs out, a list may not.

    Args:
        given: what the user passed.
        outputs: a structure of tensors.
        what: the argument's name, for messages.

    Raises:
        ValueError: a key that is not among the outputs; a list of another length.

    >>> along({"b": ["mse", None]}, {"a": 1, "b": [2, 3]}, "loss")
    [None, 'mse', None]
    """
    if isinstance(outputs, Mapping) and isinstance(given, Mapping):
        for key in given:
            if key not in outputs:
                raise errors.unknown(f"output in {what}", key, map(str, outputs))
        parts = [(given.get(key), outputs[key]) for key in sorted(outputs)]
    elif isinstance(outputs, (list, tuple)) and isinstance(given, (list, tuple)):
        if len(given) != len(outputs):
            raise errors.invalid("compile", what, f"of {len(outputs)} items here", given)
        parts = list(zip(given, outputs, strict=True))
    else:
        return [given] * len(jax.tree.leaves(outputs))
    return [item for one, output in parts for item in along(one, output, what)]
