"""Bidirectional: a recurrent layer forwards and backwards."""

from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.serialization import (
    custom_object_scope,
    deserialize_keras_object,
    serialize_keras_object,
)
from talweg.layers.arguments import fields
from talweg.layers.base import Layer
from talweg.layers.masks import call_parameters
from talweg.ops.keras_tensor import KerasTensor

_MERGES: dict[str | None, Any] = {
    "concat": lambda y, z: jnp.concatenate([y, z], axis=-1),
    "sum": lambda y, z: y + z,
    "ave": lambda y, z: (y + z) / 2,
    "mul": lambda y, z: y * z,
    None: lambda y, z: (y, z),
}


class Bidirectional(Layer):
    """Runs a recurrent layer over a sequence in both directions and merges the outputs.

    The layer is copied: the one that is given keeps no weights of this.

    Args:
        layer: `LSTM`, `GRU`, …, or any layer with `go_backwards`, `return_sequences`,
            `return_state`, `stateful`.
        merge_mode: "concat", "sum", "mul", "ave", or None for a pair.
        weights: arrays to start with, those of the forward layer first.
        backward_layer: the layer that runs backwards; made from `layer` where None.

    Raises:
        TypeError: `layer` is no layer.
        ValueError: an unknown merge mode; layers that run in the same direction or return
            different things.

    >>> import numpy as np
    >>> from talweg.layers import GRU
    >>> Bidirectional(GRU(4))(np.ones((2, 5, 3))).shape
    (2, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and (name == "layer" or value is not None):
                raise errors.wrong_type("Bidirectional", name, "a recurrent layer", value)
        if merge_mode not in _MERGES:
            known = ", ".join(map(repr, _MERGES))
            raise errors.invalid("Bidirectional", "merge_mode", f"one of {known}", merge_mode)
        super().__init__(**kwargs)
        self.forward_layer = _copied(layer, "forward")
        self.backward_layer = backward_layer or _copied(layer, "backward", go_backwards=True)
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._first_weights = None if weights is None else list(weights)

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise errors.invalid(
                "Bidirectional", "go_backwards", "different in the two layers",
                forward.go_backwards,
            )  # fmt: skip
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise errors.invalid(
                    "Bidirectional", name, f"{getattr(forward, name)} in both layers",
                    getattr(backward, name),
                )  # fmt: skip

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        half = None if initial_state is None else len(initial_state) // 2
        halves = (None, None) if half is None else (initial_state[:half], initial_state[half:])
        results = []
        for layer, state in zip((self.forward_layer, self.backward_layer), halves, strict=True):
            known = call_parameters(type(layer))
            given = {"training": training, "mask": mask, "initial_state": state}
            given = {k: v for k, v in given.items() if k in known and v is not None}
            results.append(layer(sequences, **given))
        y, z = (result[0] if self.return_state else result for result in results)
        y, z = y.astype(self.compute_dtype), z.astype(self.compute_dtype)
        if self.return_sequences:
            z = jnp.flip(z, axis=1)
        output = _MERGES[self.merge_mode](y, z)
        if not self.return_state:
            return output
        states = (*results[0][1:], *results[1][1:])
        return (*output, *states) if self.merge_mode is None else (output, *states)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        output = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            output, states = output[0], tuple(output[1:])
        merged: Any = tuple(output)
        if self.merge_mode == "concat":
            merged = (*output[:-1], 2 * output[-1])
        elif self.merge_mode is None:
            merged = [merged, merged]
        if not self.return_state:
            return merged
        first = tuple(merged) if self.merge_mode is None else (merged,)
        return (*first, *states, *states)

    def compute_output_spec(self, sequences: Any, *args: Any, **kwargs: Any) -> Any:
        shapes = self.compute_output_shape(tuple(sequences.shape))
        if self.merge_mode is None and not self.return_state:
            shapes = tuple(shapes)
        return jax.tree.map(
            lambda shape: KerasTensor(shape, self.compute_dtype),
            shapes,
            is_leaf=lambda s: isinstance(s, tuple) and not any(isinstance(i, tuple) for i in s),
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        leaves = jax.tree.leaves(previous_mask)
        mask = leaves[0] if leaves and self.return_sequences else None
        return (mask, mask) if self.merge_mode is None else [mask]

    # -- states ------------------------------------------------------------------------

    @property
    def states(self) -> Any:
        """The states of a stateful layer, those of the forward layer first."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Set the states of a stateful layer back to zero."""
        if not self.stateful:
            raise AttributeError(f"Layer {self.name!r} is not stateful, so it has no state.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Another name of `reset_state`."""
        self.reset_state()

    # -- config ------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(self, "merge_mode"),
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects)
        return cls(**config)


def _copied(layer: Any, direction: str, **changes: Any) -> Any:
    """A new layer like `layer`, with its own weights, named after the direction."""
    own = {type(part).__name__: type(part) for part in layer._flatten_layers()}
    name = f"{direction}_{layer.name.removeprefix(f'{direction}_')}"
    own = {k: cls for k, cls in own.items() if not cls.__module__.startswith("talweg.")}
    with custom_object_scope(own):
        return type(layer).from_config({**layer.get_config(), "name": name, **changes})
