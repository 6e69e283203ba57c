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


def spread(given: Any, outputs: Sequence[str], what: str, each: bool = False) -> list[Any]:
    """One item per output, from one for all, a list, or a dict by output name.

    Args:
        given: what the user passed.
        outputs: the names of the outputs.
        what: the argument's name, for messages.
        each: whether a list that is not as long as the outputs belongs to all of them.
    """
    if given is None:
        return [None] * len(outputs)
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in outputs]
        if unknown and len(outputs) == 1 and len(given) == 1:
            return list(given.values())
        if unknown:
            raise errors.unknown(f"output in {what}", unknown[0], outputs)
        return [given.get(name) for name in outputs]
    if isinstance(given, (list, tuple)):
        if len(outputs) == 1:
            return [list(given)] if each else list(given)[:1]
        if len(given) == len(outputs):
            return list(given)
        if not each:
            raise errors.invalid("compile", what, f"one for each of {len(outputs)} outputs", given)
    return [given] * len(outputs)


def spread_weights(weight: Any, outputs: Sequence[str]) -> list[Any]:
    """The weights of the rows for each output: one for all, or each its own."""
    if weight is None or not isinstance(weight, (list, tuple, Mapping)):
        return [weight] * max(len(outputs), 1)
    return spread(weight, outputs, "sample_weight")


def targets_of(y: Any, outputs: Sequence[str], wanted: Sequence[int]) -> list[Any]:
    """The targets in the order of the outputs; None where there is none.

    Args:
        y: targets by the names of the outputs, or one for each, or one for each that is wanted.
        outputs: the names of the outputs.
        wanted: the positions of those that have a loss.

    Raises:
        ValueError: another number of targets.

    >>> targets_of({"b": 2}, ["a", "b"], [1]), targets_of([2], ["a", "b"], [1])
    ([None, 2], [None, 2])
    """
    count = len(outputs)
    if y is None:
        return [None] * count
    if isinstance(y, Mapping) and set(y) <= set(outputs):
        return [y.get(name) for name in outputs]
    leaves = jax.tree.leaves(y, is_leaf=lambda part: part is None)
    if len(leaves) == count:
        return leaves
    leaves = jax.tree.leaves(y)
    if len(leaves) != len(wanted):
        raise ValueError(f"The model has {count} outputs, but y has {len(leaves)} targets.")
    placed: list[Any] = [None] * count
    for i, leaf in zip(wanted, leaves, strict=True):
        placed[i] = leaf
    return placed


def as_column(target: Any, prediction: Any) -> Any:
    """A target (n,) beside a prediction (n, 1) as a column, for functions that users write.

    Keras hands it on as it is; `y_true - y_pred` then is a matrix (n, n).
    """
    column = target is not None and target.ndim + 1 == prediction.ndim
    return target[..., None] if column and prediction.shape[-1] == 1 else target


def free(key: str, taken: Sequence[str]) -> str:
    """`key`, numbered where it is taken."""
    count, found = 1, key
    while found in taken:
        found, count = f"{key}_{count}", count + 1
    return found
