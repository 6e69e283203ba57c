"""Wrapper: a layer around a layer."""

from typing import Any, Self

from talweg.core import errors
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.layers.base import Layer


class Wrapper(Layer):
    """Base of layers that change what another layer does.

    Args:
        layer: the layer inside.

    Raises:
        ValueError: `layer` is not a layer.

    >>> from talweg.layers import Dense
    >>> class Twice(Wrapper):
    ...     def call(self, x):
    ...         return 2 * self.layer(x)
    >>> import numpy as np
    >>> Twice(Dense(3))(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise errors.invalid(type(self).__name__, "layer", "a layer", layer)
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"), custom_objects)
        return cls(layer, **config)
