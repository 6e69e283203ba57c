"""Packing: tensors that are stepped alike lie in one array while a block runs.

What a step of a small model costs is the number of its compiled pieces: each takes a while to
compile and to start, however little it computes. An optimizer adds a piece for each array that
it writes. Where its rule looks at every number by itself, several tensors can be one array to
it, and Adam over four tensors writes three arrays in place of twelve. The numbers are the same.

Measured with the first program of benchmarks/README.md (jax 0.10.2, two cores): a third of the
training program's compilation and a fifth of its step. Large tensors gain nothing: their step
costs what they move, and packing copies.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.variables import Variable
from talweg.optimizers.base import Optimizer
from talweg.optimizers.functional import Functional
from talweg.optimizers.state import OptimizerState, Tensor

Rule = TypeVar("Rule", bound=Callable[..., Any])


class Layout:
    """Which tensors lie in one array, and the ways there and back.

    Arrays may have further axes in front, as those of populations do.

    Args:
        kinds: tensors of one kind lie together.
        shapes: those of the tensors.
    """

    def __init__(self, kinds: Sequence[Hashable], shapes: Sequence[tuple[int, ...]]):
        self.shapes = list(shapes)
        groups: dict[Hashable, list[int]] = {}
        for i, kind in enumerate(kinds):
            groups.setdefault(kind, []).append(i)
        self.groups = list(groups.values())

    def join(self, leaves: Sequence[Any], numpy: Any = np) -> list[Any]:
        """The arrays of all groups, from one array for each tensor; `numpy`: by which module."""
        flat = [
            leaf.reshape(*leaf.shape[: leaf.ndim - len(shape)], -1)
            for leaf, shape in zip(map(numpy.asarray, leaves), self.shapes, strict=True)
        ]
        return [numpy.concatenate([flat[i] for i in group], axis=-1) for group in self.groups]

    def split(self, packed: Sequence[Any], numpy: Any = np) -> list[Any]:
        """One array for each tensor, from those of all groups."""
        leaves: list[Any] = [None] * len(self.shapes)
        for group, array in zip(self.groups, map(numpy.asarray, packed), strict=True):
            ends = np.cumsum([math.prod(self.shapes[i]) for i in group])
            for i, part in zip(group, numpy.split(array, ends[:-1], axis=-1), strict=True):
                leaves[i] = part.reshape((*part.shape[:-1], *self.shapes[i]))
        return leaves


class Packing(Layout):
    """The layout of an optimizer's tensors and of what it keeps for them.

    States are packed on the host, before and after a block: compiled, these ways would be as
    many pieces as are saved.

    Args:
        kinds: tensors of one kind lie together.
        shapes: those of the tensors.
        tensors: what a step knows of each of them.
    """

    def __init__(
        self, kinds: Sequence[Hashable], shapes: Sequence[tuple[int, ...]],
        tensors: Sequence[Tensor],
    ):  # fmt: skip
        super().__init__(kinds, shapes)
        self.tensors = [tensors[group[0]] for group in self.groups]
        # Inside a step. Without a derivative of its own, every tensor's gradient would be
        # padded to the size of the array, and all of them added.
        self.spread = jax.custom_vjp(lambda packed: self.split(packed, jnp))
        self.spread.defvjp(
            lambda packed: (self.split(packed, jnp), None),
            lambda _, gradients: (self.join(gradients, jnp),),
        )

    def pack(self, params: Sequence[Any], state: OptimizerState) -> tuple[Any, OptimizerState]:
        """Parameters and state as a packed step takes them."""
        return self._moved(self.join, len(self.groups), params, state)

    def unpack(self, params: Sequence[Any], state: OptimizerState) -> tuple[Any, OptimizerState]:
        """Parameters and state as everybody else knows them."""
        return self._moved(self.split, len(self.shapes), params, state)

    def _moved(
        self, way: Callable[..., list[Any]], count: int, params: Any, state: OptimizerState
    ) -> tuple[Any, OptimizerState]:
        """All that there is for each tensor, sent along a way."""
        kinds = [way(kind) for kind in zip(*map(jax.tree.leaves, state.slots), strict=True)]
        structure = jax.tree.structure(state.slots[0])
        moved = state._replace(
            slots=tuple(jax.tree.unflatten(structure, [k[i] for k in kinds]) for i in range(count)),
            average=tuple(way(state.average)) if state.average else (),
            accumulated=tuple(way(state.accumulated)) if state.accumulated else (),
        )
        return jax.device_put((way(params), moved))


def elementwise(rule: Rule) -> Rule:
    """Say of an optimizer's rule that it steps every number of a tensor by itself.

    Its update of a number then depends on that number's gradient, value and slots and on the
    hyperparameters, and neither on the tensor's other numbers nor on its shape or name. Its slots
    have the tensor's shape.

    >>> @elementwise
    ... def sign(g, p, s, h, t):
    ...     return -h.learning_rate * jnp.sign(g), s
    """
    vars(rule)["elementwise"] = True
    return rule


def packing_of(optimizer: Optimizer, params: Sequence[Variable]) -> Packing | None:
    """How an optimizer's variables are packed; None where a step looks at whole tensors.

    Args:
        optimizer: built.
        params: the variables that are trained.
    """
    kind, tensors = type(optimizer), optimizer.tensors
    by_number = (
        getattr(optimizer, "rule", None) is not None
        and hasattr(optimizer.rule, "elementwise")
        and optimizer.by_tensor
        and "apply_rule" not in vars(optimizer)
        and kind.update_leaves is Functional.update_leaves
        and kind.update_built is Optimizer.update_built
        and kind.apply is Optimizer.apply
        and kind.decay_of is Functional.decay_of
        and optimizer.clipnorm is None
        and optimizer.global_clipnorm is None
    )
    if not by_number or list(map(id, optimizer.trainable_variables)) != list(map(id, params)):
        return None
    for variable, tensor, slots in zip(params, tensors, optimizer.state.slots, strict=True):
        if tensor.factors is not None or variable.constraint is not None:
            return None
        if any(slot.shape != variable.shape for slot in jax.tree.leaves(slots)):
            return None
    if any(array.shape != () for array in jax.tree.leaves(optimizer.state.shared)):
        return None
    kinds = [(tensor.decays, p.dtype) for tensor, p in zip(tensors, params, strict=True)]
    packing = Packing(kinds, [p.shape for p in params], tensors)
    return packing if len(packing.groups) < len(params) else None


def layout_of_metrics(metrics: Sequence[Variable]) -> Layout:
    """How the running sums of metrics are packed: the scalars of one type lie together."""
    kinds = [v.dtype if v.shape == () else i for i, v in enumerate(metrics)]
    return Layout(kinds, [v.shape for v in metrics])
