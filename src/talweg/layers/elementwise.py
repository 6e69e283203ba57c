"""Elementwise: what layers share that keep the shape of their input and need no build."""

from typing import Any

from talweg.layers.base import Layer


class Elementwise(Layer):
    """Base of layers without weights whose output has the input's shape."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
