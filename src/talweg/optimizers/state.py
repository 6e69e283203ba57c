"""What a step works on: the state of an optimizer, the tensors with what is known of them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.optimizers.hyperparameters import Schedules

# `(parameters) -> (loss, gradients)` on the batch of this step.
Objective = Callable[[Any], tuple[Any, Any]]


class OptimizerState(NamedTuple):
    """All that an optimizer knows, a pytree.

    Attributes:
        iterations: how many gradients came, int32.
        hyper: the numeric hyperparameters, the constant rate and its multiplier.
        slots: what the rule keeps for each tensor, a NamedTuple of arrays each.
        shared: what the rule keeps once for all tensors.
        average: the exponential average of each tensor; empty without `use_ema`.
        accumulated: the sum of gradients; empty without accumulation.
        schedules: the hyperparameters that follow a schedule, static.
        inner: the states of the optimizers that this one is composed of; their
            hyperparameters stand in `hyper`.
    """

    iterations: Any
    hyper: dict[str, Any]
    slots: tuple[Any, ...]
    shared: Any
    average: tuple[Any, ...]
    accumulated: tuple[Any, ...]
    schedules: Schedules
    inner: tuple[Any, ...] = ()


class Factors(NamedTuple):
    """What a part of the model changes about a step: scalars, over the optimizer's own.

    Attributes:
        rate: the last factor of the law of the rate.
        decay: the factor of the weight decay.
        clip: the factor of the limit of clipping.
        frozen: whether the part stands still, a bool.
    """

    rate: Any
    decay: Any
    clip: Any
    frozen: Any


class Tensor(NamedTuple):
    """What a step knows of one tensor, beside its value.

    Attributes:
        name: its path, "encoder/kernel".
        decays: whether weight decay applies to it.
        factors: those of the part that it belongs to; None for the model as a whole.
        constraint: what is applied to it after every step; None where there is none.
    """

    name: str
    decays: bool = True
    factors: Factors | None = None
    constraint: Callable[[Any], Any] | None = None

    def within(self, factors: Factors | None) -> "Tensor":
        """The tensor with the factors of one more part around it."""
        if factors is None or self.factors is None:
            return self._replace(factors=factors or self.factors)
        *products, frozen = zip(self.factors, factors, strict=True)
        return self._replace(
            factors=Factors(*(a * b for a, b in products), frozen=frozen[0] | frozen[1])
        )


def wide(array: jax.Array) -> jax.Array:
    """Half and quarter types as float32, all others as they are."""
    narrow = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
    return array.astype(jnp.float32) if narrow else array


def tensors_of(params: Any) -> list[Tensor]:
    """The tensors of a pytree, named by their paths ("/value", of Flax's boxes, is left out)."""
    paths = jax.tree_util.tree_flatten_with_path(params)[0]
    return [
        Tensor(jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value"))
        for path, _ in paths
    ]


def among(objective: Objective, params: Sequence[Any], present: Sequence[int]) -> Objective:
    """An objective as one of some of the tensors; the others stay."""

    def of_present(moved: Sequence[Any]) -> tuple[Any, list[Any]]:
        narrow = [m.astype(params[i].dtype) for i, m in zip(present, moved, strict=True)]
        loss, grads = objective(replaced(params, present, narrow))
        return loss, [
            jnp.zeros_like(m) if grads[i] is None else grads[i].astype(m.dtype)
            for i, m in zip(present, moved, strict=True)
        ]

    return of_present


def replaced(items: Sequence[Any], positions: Sequence[int], new: Sequence[Any]) -> list[Any]:
    """A copy of a list with other items at some positions."""
    result = list(items)
    for position, item in zip(positions, new, strict=True):
        result[position] = item
    return result
