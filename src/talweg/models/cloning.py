"""clone_model: a model of the same architecture with weights of its own."""

from collections.abc import Callable
from typing import Any

import jax

from talweg.core import errors
from talweg.layers import Input, Layer
from talweg.metrics import Metric
from talweg.models.functional import Functional
from talweg.models.model import Model
from talweg.models.sequential import Sequential
from talweg.ops.keras_tensor import KerasTensor
from talweg.optimizers import Optimizer


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model like `model`, of new layers with new weights; compiled where it is.

    Args:
        model: Sequential, functional, or of a class with a config.
        input_tensors: symbolic inputs to build on, in the structure of the model's own.
        clone_function: makes a layer from each layer but the inputs; from its config by
            default.
        call_function: `(layer, *args, **kwargs)`, how a functional model calls its layers.
        recursive: whether both functions reach into the models inside.

    Raises:
        ValueError: the model is neither Sequential nor functional and one of the functions
            is given; `input_tensors` are not what the model takes.

    >>> from talweg import Sequential, layers
    >>> model = Sequential([layers.Input((3,)), layers.Dense(2)])
    >>> other = clone_model(model)
    >>> other.output_shape, other.weights[0] is model.weights[0]
    ((None, 2), False)
    """
    made: dict[int, Any] = {}

    def clone(layer: Any) -> Any:
        if id(layer) not in made:
            made[id(layer)] = one(layer)
        return made[id(layer)]

    def one(layer: Any) -> Any:
        nested = isinstance(layer, (Sequential, Functional))
        if nested and (recursive or clone_function is None):
            inner = None if isinstance(layer, Sequential) or not recursive else call_function
            return clone_model(layer, None, clone if recursive else None, inner, recursive)
        if clone_function is not None:
            return clone_function(layer)
        return layer._again()

    if isinstance(model, Sequential):
        if call_function is not None:
            raise errors.invalid(
                "clone_model", "call_function", "None for a Sequential model", call_function
            )
        copy = _sequential(model, clone, input_tensors)
    elif isinstance(model, Functional):
        copy = _functional(model, clone, call_function, input_tensors)
    else:
        given = {"input_tensors": input_tensors, "clone_function": clone_function}
        for name, value in {**given, "call_function": call_function}.items():
            if value is not None:
                raise errors.invalid(
                    "clone_model", name, f"None for a {type(model).__name__}", value,
                    "Only Sequential and functional models show what they are made of.",
                )  # fmt: skip
        copy = type(model).from_config(model.get_config())
    if model.compiled:
        copy.compile(**jax.tree.map(_renewed, model.compile_arguments))
    return copy


def _renewed(argument: Any) -> Any:
    """An optimizer or a metric of the same config, without state; all else as it is."""
    if isinstance(argument, (Optimizer, Metric)):
        return type(argument).from_config(argument.get_config())
    return argument


def _sequential(model: Sequential, clone: Callable[[Any], Any], input_tensors: Any) -> Sequential:
    tensors = jax.tree.leaves(input_tensors)
    if len(tensors) > 1 or not all(isinstance(tensor, KerasTensor) for tensor in tensors):
        raise errors.invalid("clone_model", "input_tensors", "one KerasTensor", input_tensors)
    own = model._input
    first: list[Any] = tensors
    if own is not None and not tensors:
        first = [Input(batch_shape=own.batch_shape, dtype=own.dtype, name=own.name)]
    layers = [*first, *map(clone, model.layers)]
    return Sequential(layers, trainable=model.trainable, name=model.name)


def _functional(
    model: Functional,
    clone: Callable[[Any], Any],
    call_function: Callable[..., Any] | None,
    input_tensors: Any,
) -> Any:
    inputs = input_tensors
    if inputs is None:
        inputs = jax.tree.map(
            lambda tensor: Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name),
            model.input,
        )
    if jax.tree.structure(inputs) != jax.tree.structure(model.input) or not all(
        isinstance(tensor, KerasTensor) for tensor in jax.tree.leaves(inputs)
    ):
        raise errors.invalid(
            "clone_model", "input_tensors", f"KerasTensors in the structure of {model.input}",
            input_tensors,
        )  # fmt: skip
    new = {
        id(old): tensor for old, tensor in zip(model.inputs, jax.tree.leaves(inputs), strict=True)
    }

    def renewed(structure: Any) -> Any:
        return jax.tree.map(
            lambda leaf: new[id(leaf)] if isinstance(leaf, KerasTensor) else leaf, structure
        )

    for node in model._graph.nodes:
        args, kwargs = renewed((node.args, node.kwargs))
        is_layer = isinstance(node.operation, Layer)
        operation = clone(node.operation) if is_layer else node.operation
        if is_layer and call_function is not None:
            results = call_function(operation, *args, **kwargs)
        else:
            results = operation(*args, **kwargs)
        pairs = zip(node.leaves, jax.tree.leaves(results), strict=True)
        new.update((id(old), tensor) for old, tensor in pairs)
    # A class of the user's is kept where it is made of inputs and outputs, as its base is.
    plain = type(model).__init__ in (Functional.__init__, Model.__init__)
    cls = type(model) if plain else Functional
    return cls(inputs, renewed(model.output), name=model.name)
