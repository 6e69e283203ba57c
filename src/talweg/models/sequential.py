"""Sequential: layers one after another."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax

from talweg import layers as layers_module
from talweg.core import errors, names
from talweg.core.serialization import serialize_keras_object
from talweg.layers import InputLayer, Layer, context
from talweg.layers.building import is_shape
from talweg.models.graph import check_kind, fitted
from talweg.models.model import Model
from talweg.models.text import Encoded, ReadsText, applied, has_text
from talweg.ops.keras_tensor import KerasTensor


class Sequential(ReadsText, Model):
    """A stack of layers, each fed with the output of the one before.

    It is built at once where the first layer says its input shape (`Input`,
    `input_shape=`, `input_dim=`), else when it first sees data.

    Args:
        layers: layers to begin with.
        trainable: whether its weights learn.
        name: its name.

    >>> from talweg.layers import Dense
    >>> model = Sequential([Dense(4, activation="relu", input_dim=3), Dense(1)])
    >>> model.output_shape
    (None, 1)
    """

    carries_masks = True

    def __init__(
        self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None
    ):
        super().__init__(trainable=trainable, name=name)
        self._stack: list[Layer] = []
        self._input: InputLayer | None = None
        for layer in layers or []:
            self._append(layer)
        self._build_if_known()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top."""
        self._append(layer)
        if rebuild:
            self._build_if_known()

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            layer = getattr(layer, "layer", None) or InputLayer(
                batch_shape=layer.shape, dtype=layer.dtype, name=layer.name
            )
        if isinstance(layer, InputLayer):
            if self._stack or self._input is not None:
                raise ValueError("Input must be the first layer of a Sequential model, once.")
            self._input = layer
            return
        if not isinstance(layer, Layer):
            raise errors.wrong_type(
                "Sequential", "a layer", "a layer object", layer, "Did you forget the parentheses?"
            )
        if any(known.name == layer.name for known in self._stack):
            raise errors.invalid(
                "Sequential", "the name of a layer", "unique", layer.name,
                "Give one of the two another name=….",
            )  # fmt: skip
        if not self._stack and self._input is None:
            inner = _inputs_of(layer)
            if len(inner) == 1:
                self._input = InputLayer(batch_shape=inner[0].shape, dtype=inner[0].dtype)
        shape = layer._batch_input_shape
        if not self._stack and self._input is None and shape is not None:
            integers = type(layer).__name__ == "Embedding"
            self._input = InputLayer(
                batch_shape=shape, dtype="int32" if integers else layer.compute_dtype
            )
        self._stack.append(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and return it."""
        if not self._stack:
            raise ValueError("There is no layer to pop: the model is empty.")
        layer = self._stack.pop()
        self._forget_programs()
        if rebuild:
            self._build_if_known()
        return layer

    def _build_if_known(self) -> None:
        self.built = False
        self._forget_programs()
        if self._input is not None and self._stack:
            self.build(self._input.batch_shape)

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of this shape, the batch axis first."""
        if input_shape is None:
            if self._input is None:
                raise errors.invalid("Sequential", "input_shape", "given to build", input_shape)
            input_shape = self._input.batch_shape
        if not self._stack and self._input is None:
            raise ValueError(f"Model {self.name!r} has no layers. Call model.add(layer) first.")
        if self._input is not None and is_shape(input_shape):
            self._check_against_input(KerasTensor(input_shape))
        dtype = self._input.dtype if self._input is not None else self._input_dtype()
        x: Any = jax.tree.map(
            lambda shape: KerasTensor(shape, dtype), input_shape, is_leaf=is_shape
        )
        if self._input is not None and input_shape == self._input.batch_shape:
            x = self._input.output
        self._input_spec = x
        try:
            for layer in self._stack:
                layer._nodes.clear()  # of the shorter model, or of other shapes
                x = layer(x)
            names.auto_name("Functional")  # Keras makes one here, which takes a number
        except NotImplementedError:  # a layer that cannot tell its shape without data
            x = None
        self._output_spec = x

    def _input_dtype(self) -> str:
        if self.reads_text:
            return "string"
        embeds = self._stack and type(self._stack[0]).__name__ == "Embedding"
        return "int32" if embeds else self.compute_dtype

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        stack = self._stack
        if isinstance(inputs, Encoded):
            inputs, stack = inputs.parts, stack[inputs.start :]
        elif self._input is not None:
            check_kind(self._input, inputs)
            self._check_against_input(inputs)
        context.set_masks(inputs, mask)
        for layer in stack:
            inputs = layer(inputs)
        return inputs

    @property
    def reads_text(self) -> bool:  # type: ignore[override]
        """Whether the first layer takes text."""
        return bool(self._stack) and self._stack[0].reads_text

    def encode_text(self, x: Any) -> Encoded:
        if not self.built:
            self.build((None, *x.shape[1:]))
        if self._input is not None:
            x = fitted(self._input, x)
        for place, layer in enumerate(self._stack):
            x = applied(layer, x)
            if isinstance(x, Encoded):
                return Encoded(x, place)
            if not has_text(x):
                return Encoded(x, place + 1)
        raise errors.wrong_type(f"Model {self.name!r}", "the output", "numbers", "text")

    def _check_against_input(self, inputs: Any) -> None:
        wanted = self._input.batch_shape  # pyright: ignore[reportOptionalMemberAccess]
        for leaf in jax.tree.leaves(inputs):
            fits = len(leaf.shape) == len(wanted) and all(
                size is None or got is None or size == got
                for size, got in zip(wanted[1:], leaf.shape[1:], strict=True)
            )
            if not fits:
                raise errors.invalid(
                    f"Model {self.name!r}", "the input", f"of shape {tuple(wanted)}",
                    tuple(leaf.shape), "Each row must look like the Input layer says.",
                )  # fmt: skip

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(self._stack)

    @property
    def _chain(self) -> Sequence[Layer]:
        return self._stack if type(self).call is Sequential.call else ()

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        if self._input is not None:
            return [self._input.output]
        if not self.built:
            raise AttributeError(f"{self.name} is not built yet, so its input is unknown.")
        return jax.tree.leaves(self._input_spec)

    @property
    def input(self) -> Any:
        """The symbolic input."""
        return self.inputs[0] if len(self.inputs) == 1 else self._input_spec

    @property
    def output(self) -> Any:
        """The symbolic output."""
        return self.outputs[0] if len(self.outputs) == 1 else self._output_spec

    @property
    def outputs(self) -> list[Any]:
        """The symbolic output, in a list."""
        if not self.built or self._output_spec is None:
            raise AttributeError(f"{self.name} is not built yet, so its output is unknown.")
        return jax.tree.leaves(self._output_spec)

    @property
    def output_shape(self) -> Any:
        """The shape of the output, the batch axis None."""
        if not self.built or self._output_spec is None:
            raise AttributeError(f"{self.name} is not built yet, so its output shape is unknown.")
        return jax.tree.map(lambda spec: spec.shape, self._output_spec)

    @property
    def input_shape(self) -> Any:
        """The shape of the input, the batch axis None."""
        if self._input is not None:
            return tuple(self._input.batch_shape)
        return super().input_shape

    def _sublayers(self) -> list[Layer]:
        return list(self._stack)

    def get_config(self) -> dict[str, Any]:
        stack = [self._input, *self._stack] if self._input is not None else self._stack
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
            "layers": [_record(layer) for layer in stack],
        }
        if self._build_shape is not None or self.built:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Sequential":
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        for record in config["layers"]:
            model.add(layers_module.deserialize(record, custom_objects), rebuild=False)
        if config.get("build_input_shape") is not None and model._stack:
            model.build(tuple(config["build_input_shape"]))
        return model


def _inputs_of(layer: Layer) -> list[KerasTensor]:
    """The symbolic inputs of a model that knows them."""
    if isinstance(layer, Sequential):
        return layer.inputs if layer._input is not None else []
    graph = getattr(layer, "_graph", None)
    return list(graph.input_leaves) if graph is not None else []


def _record(layer: Layer) -> dict[str, Any]:
    record = serialize_keras_object(layer)
    built = layer.get_build_config()
    if built:
        record["build_config"] = built
    return record
