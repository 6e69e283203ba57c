"""The units of layers that can die: whose gradient is exactly zero where they are cut off."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from talweg import activations

# Activations that are exactly flat somewhere.
CUTTING = (
    activations.relu,
    activations.relu6,
    activations.hard_shrink,
    activations.hard_sigmoid,
    activations.hard_silu,
    activations.hard_tanh,
    activations.soft_shrink,
    activations.sparse_plus,
    activations.sparse_sigmoid,
    activations.threshold,
)
# Layers between a kernel and its activation that hand a gradient of zero on, unit by unit.
_BETWEEN = ("BatchNormalization", "Dropout", "SpatialDropout1D", "SpatialDropout2D")


@dataclass(frozen=True)
class Units:
    """The units of one layer.

    Attributes:
        layer: its name.
        positions: its tensors among the trainable variables of the model, units last.
    """

    layer: str
    positions: tuple[int, ...]

    def silent(self, grads: Any) -> Any:
        """Which units have a gradient of exactly zero in every tensor; pure."""
        masks = [
            jnp.all(grads[i] == 0, axis=tuple(range(grads[i].ndim - 1))) for i in self.positions
        ]
        return jnp.stack(masks).all(axis=0)


def units_that_cut(model: Any) -> list[Units]:
    """The layers of a model with a kernel and an activation that is flat somewhere.

    A tensor with a regularizer never has a gradient of exactly zero, so it is passed over.
    """
    places = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    layers = list(model._flatten_layers())
    found: list[Units] = []
    for k, layer in enumerate(layers):
        count = getattr(layer, "units", None) or getattr(layer, "filters", None)
        if not count or not _is_cut(layers[k:]):
            continue
        tensors = [getattr(layer, "kernel", None), getattr(layer, "bias", None)]
        positions = [
            places[id(v)]
            for v in tensors
            if id(v) in places and v.shape[-1] == count and v.regularizer is None
        ]
        if positions:
            found.append(Units(layer.name, tuple(positions)))
    return found


def _is_cut(layers: list[Any]) -> bool:
    """Whether the activation of the first layer, or of the one behind it, is flat somewhere."""
    first, *behind = layers
    own = getattr(first, "activation", None)
    if own is not None and own is not activations.linear:
        return own in CUTTING
    following = next((one for one in behind if type(one).__name__ not in _BETWEEN), None)
    if type(following).__name__ == "ReLU":
        return following.negative_slope == 0
    has_kernel = hasattr(following, "kernel")
    return not has_kernel and getattr(following, "activation", None) in CUTTING
