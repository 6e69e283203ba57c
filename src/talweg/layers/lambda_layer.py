"""Lambda: any function as a layer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from talweg.core.serialization import deserialize_keras_object, named_function
from talweg.layers.base import Layer

_REFUSED = (
    "A Lambda layer is written to files and read from them by the name of its function only; for "
    "any other a file would have to hold code. Define the function with def and "
    "@register_keras_serializable(), or write a Layer subclass."
)


class Lambda(Layer):
    """`function(x, **arguments)`.

    Files name the function and hold no code: it is one of talweg's, or registered by
    `register_keras_serializable`, or passed as a custom object when they are read. The function
    must hold no variables: they would not be found.

    Args:
        function: of the input; parameters called `mask` and `training` are passed along.
        output_shape: the shape of one sample, or a function of the input's shape; traced
            where None.
        mask: the output's mask, or a function of the inputs and their mask.
        arguments: further keyword arguments of the function.

    Raises:
        TypeError: `function` is not callable.
        ValueError: the layer is to be serialized, and its function is a lambda, or has the name
            of another one.

    >>> import numpy as np
    >>> Lambda(lambda x: x**2)(np.array([3.0])).tolist()
    [9.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: function must be callable, got {function!r}.")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        self._passed = {"mask", "training"} & set(inspect.signature(function).parameters)
        self._build_at_init()

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        flags = {"mask": mask, "training": training}
        passed = {name: flags[name] for name in self._passed}
        return self.function(inputs, **{**self.arguments, **passed})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        return input_shape[0], *self._output_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return self._traced_spec(*args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def _again(self) -> "Lambda":
        # Its function is here, whether or not a file could name it.
        kept = (self.function, self._output_shape, self.mask, self.arguments)
        return type(self)(*kept, **super().get_config())

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": _named(self.function)}
        for name, value in (("output_shape", self._output_shape), ("mask", self.mask)):
            if value is not None:
                config[name] = _named(value) if callable(value) else value
        return {**config, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        if not is_name(config.get("function")):
            raise ValueError(_REFUSED)
        given = {
            name: deserialize_keras_object(value, custom_objects) for name, value in config.items()
        }
        if isinstance(given.get("output_shape"), list):
            given["output_shape"] = tuple(given["output_shape"])
        return cls(**given)


def is_name(record: Any) -> bool:
    """Whether a record is that of a function by its name."""
    return isinstance(record, Mapping) and record.get("class_name") == "function"


def _named(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return named_function(function)
    except ValueError as error:
        raise ValueError(f"{_REFUSED} ({error})") from error
