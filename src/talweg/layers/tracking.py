"""Tracking: what a layer owns.

Nothing is registered anywhere: variables, sublayers, metrics and seed generators are
found by walking the attributes, lists, tuples and dicts included.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.random import SeedGenerator
from talweg.core.stateless import stateless_scope
from talweg.core.variables import Variable
from talweg.layers import context
from talweg.metrics import Metric
from talweg.ops.keras_tensor import is_symbolic


def parts_of(value: Any, kinds: Any) -> Iterator[Any]:
    """Objects of `kinds` in `value` and in the lists, tuples and dicts inside it."""
    if isinstance(value, kinds):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts_of(item, kinds)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from parts_of(item, kinds)


def unique(items: Any) -> list[Any]:
    """`items` without repeated objects, in order."""
    return list({id(item): item for item in items}.values())


class Tracked:
    """The part of `Layer` that knows its weights, sublayers, metrics and losses."""

    name: str
    built: bool
    _trainable: bool
    _added_losses: list[Any]

    def _own(self, kinds: Any, within: Any = None) -> list[Any]:
        hidden = ("_added_losses", "_init_arguments", "_graph", "_nodes", "_state_variables")
        items = (vars(self) if within is None else within).items()
        values = (value for key, value in items if key not in hidden)
        return unique(part for value in values for part in parts_of(value, kinds))

    def _sublayers(self) -> list[Any]:
        return self._own(Tracked)

    def _flatten_layers(self) -> Iterator[Any]:
        """The layer and all that it contains, each once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            layer = stack.pop(0)
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                stack = layer._sublayers() + stack

    def _own_weights(self) -> list[Variable]:
        """As they were made, trainable ones first: freezing one does not move it."""
        return sorted(self._own(Variable), key=lambda v: (not v.made_trainable, v.serial))

    @property
    def weights(self) -> list[Variable]:
        """All variables but seeds: the layer's own, then its sublayers'."""
        return unique(v for layer in self._flatten_layers() for v in layer._own_weights())

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights and the states of seed generators."""
        return unique(
            v
            for layer in self._flatten_layers()
            for v in [*layer._own_weights(), *layer._kept_variables()]
        )

    def _kept_variables(self) -> list[Variable]:
        """What lives on from call to call but is no weight."""
        return [seed.state for seed in self._own(SeedGenerator)]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer moves."""
        return unique(
            v
            for layer in self._flatten_layers()
            if layer.trainable and self.trainable
            for v in layer._own_weights()
            if v.trainable
        )

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that an optimizer moves."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer moves."""
        moved = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.weights if id(variable) not in moved]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that no optimizer moves, seeds included."""
        moved = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in moved]

    @property
    def trainable(self) -> bool:
        """Whether the layer learns; setting it sets all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)
            for variable in layer._own_weights():
                variable.trainable = variable.made_trainable and bool(value)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that the layer and its sublayers hold."""
        return unique(m for layer in self._flatten_layers() for m in layer._own(Metric))

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of `weights` as NumPy arrays."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `weights` from arrays, in order.

        Raises:
            ValueError: another number of arrays, or another shape.
        """
        mine = self.weights
        if len(weights) != len(mine):
            raise errors.invalid(
                f"Layer {self.name!r}", "weights", f"a list of {len(mine)} arrays", len(weights)
            )
        for variable, value in zip(mine, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise errors.invalid(
                    f"Layer {self.name!r}", variable.path, f"of shape {variable.shape}",
                    np.shape(value),
                )  # fmt: skip
        for variable, value in zip(mine, weights, strict=True):
            variable.assign(value)

    def _saved_weights(self) -> list[Variable]:
        """The layer's own weights that a file has, in its order."""
        return self._own_weights()

    def _saved_apart(self) -> Sequence[Variable]:
        """More of them, that a file has beside those and a reader may pass over."""
        return ()

    def _loaded(self, variables: Sequence[Variable]) -> None:
        """Called when these of the saved weights have their values from a file."""

    def save_own_variables(self, store: Any) -> None:
        """Put the layer's own weights, not its sublayers', into `store`, a mapping by "0", "1" …"""
        for i, variable in enumerate(self._saved_weights()):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        """Take the layer's own weights from `store`, as `save_own_variables` put them."""
        saved = self._saved_weights()
        for i, variable in enumerate(saved):
            variable.assign(store[str(i)])
        self._loaded(saved)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no weights yet: build it or call it first.")
        return sum(math.prod(variable.shape) for variable in self.weights)

    # -- losses ----------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add scalars to what training minimizes; called inside `call`.

        Raises:
            ValueError: a symbolic tensor, which has no value to add.
        """
        call, scope = context.current(), stateless_scope()
        for value in jax.tree.leaves(loss):
            if is_symbolic(value):
                raise errors.invalid(
                    "add_loss", "the loss", "computed inside call()", value,
                    "Put the layers between into a Layer whose call() adds it, or override "
                    "compute_loss.",
                )  # fmt: skip
            value = jnp.asarray(value)
            if call is not None:
                call.losses.append(value)
            if scope is not None and scope.collect_losses:
                scope.add_loss(value)
            if not isinstance(value, jax.core.Tracer):
                self._added_losses.append(value)

    @property
    def losses(self) -> list[Any]:
        """Penalties of the last call and of the weights, as scalars."""
        call = context.current()
        if call is not None:
            return call.losses + self.weight_losses()
        added = [loss for layer in self._flatten_layers() for loss in layer._added_losses]
        return added + self.weight_losses()

    def weight_losses(self) -> list[Any]:
        """The penalties of the trainable weights' regularizers."""
        return [
            variable.regularizer(variable.value)
            for variable in self.trainable_weights
            if variable.regularizer is not None
        ]
