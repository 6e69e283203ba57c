"""Function: the way between symbolic tensors, without the state and the methods of a model."""

from typing import Any

import jax

from talweg.core import names
from talweg.layers.building import is_shape
from talweg.models.graph import Graph
from talweg.ops.keras_tensor import KerasTensor, Node, compute_output_spec, is_symbolic


class Function:
    """What leads from input tensors to output tensors, to be applied to other values.

    Args:
        inputs: KerasTensors, in any structure.
        outputs: what was computed from them, likewise.
        name: its name.

    Raises:
        TypeError: something among them is no KerasTensor.
        ValueError: none is given; an output needs a tensor that is not among the inputs.

    >>> import numpy as np
    >>> x = KerasTensor((None, 2))
    >>> Function(x, x * 2.0 + 1.0)(np.ones((1, 2))).tolist()
    [[3.0, 3.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        self.name = name or names.auto_name("Function")
        self._graph = Graph(inputs, outputs)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return list(self._graph.input_leaves)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return list(self._graph.output_leaves)

    @property
    def operations(self) -> list[Any]:
        """The layers and ops on the way, those furthest from the outputs first."""
        made = {id(layer) for layer in self._graph.input_layers}
        made -= {id(getattr(tensor, "layer", None)) for tensor in self.inputs}
        return [one for one in self._graph.operations if id(one) not in made]

    def __call__(self, inputs: Any) -> Any:
        """The outputs for arrays, or symbolic ones for KerasTensors."""
        if is_symbolic(inputs):
            return Node(self, (inputs,), {}, self.compute_output_spec(inputs)).outputs
        return self.call(inputs)

    def call(self, inputs: Any) -> Any:
        """The outputs for arrays in the structure of the inputs, or by their names."""
        return self._graph.run(inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """The specs of the outputs; nothing is computed."""
        return compute_output_spec(self.call, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for inputs of other shapes."""
        shapes = jax.tree.leaves(input_shape, is_leaf=is_shape)
        specs = [
            KerasTensor(shape, tensor.dtype)
            for shape, tensor in zip(shapes, self.inputs, strict=True)
        ]
        tree = jax.tree.structure(self._graph.inputs)
        outputs = self.compute_output_spec(jax.tree.unflatten(tree, specs))
        return jax.tree.map(lambda tensor: tensor.shape, outputs)
