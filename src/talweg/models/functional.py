"""Functional: a model made of the way from its inputs to its outputs."""

import functools
import inspect
from typing import Any

from talweg.layers import Layer, context
from talweg.layers.tracking import unique
from talweg.models.functional_config import graph_config
from talweg.models.graph import Graph
from talweg.models.model import Model
from talweg.models.text import Encoded, ReadsText
from talweg.ops.keras_tensor import KerasTensor


class Functional(ReadsText, Model):
    """What `Model(inputs, outputs)` makes.

    Args:
        inputs: an `Input`, or a list or dict of them.
        outputs: what layers and ops made of them, likewise.
        trainable: whether its weights learn.
        name: its name.

    Raises:
        ValueError: an output needs a tensor that is not among the inputs; two layers share
            a name.

    Data may come in the structure of the inputs, or as a dict by their names. Inputs of the type
    "string" take text: the layers on it run on the host, ahead of the compiled program.

    >>> from talweg import Input, layers
    >>> x = Input((3,))
    >>> hidden = layers.Dense(4, activation="relu")(x)
    >>> model = Model(x, layers.Dense(1)(hidden + layers.Dense(4)(x)))
    >>> type(model).__name__, model.output_shape, len(model.layers)
    ('Functional', (None, 1), 4)
    """

    def __init__(self, inputs: Any, outputs: Any, **kwargs: Any):
        super().__init__(inputs, outputs, **kwargs)

    _graph: Graph
    carries_masks = True
    recorded_as = ("keras.src.models.functional", "Functional")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        context.set_masks(inputs, mask)
        outputs = self._graph.run(inputs)
        single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        return outputs[0] if single else outputs

    @property
    def reads_text(self) -> bool:  # type: ignore[override]
        """Whether an input is of text."""
        return self._graph.reads_text

    def encode_text(self, x: Any) -> Encoded:
        return self._graph.encode_text(x)

    def get_config(self) -> dict[str, Any]:
        """The graph; for a class with arguments of its own, these."""
        if not _takes_a_graph(type(self)):
            return super().get_config()
        own = {"name": self.name, "trainable": self.trainable}
        return {**own, **graph_config(self._graph)}

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing: a graph is built when it is made."""

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs included, those furthest from the outputs first."""
        return self._graph.layers

    def _sublayers(self) -> list[Layer]:
        """Those of the graph, amid those that a subclass holds besides, before it and after."""
        items = list(vars(self).items())
        place = next(i for i, (name, _) in enumerate(items) if name == "_graph")
        before, after = (self._own(Layer, dict(part)) for part in (items[:place], items[place:]))
        return unique([*before, *self._graph.layers, *after])

    @property
    def operations(self) -> list[Any]:
        """The layers and the uses of ops, those furthest from the outputs first."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return list(self._graph.input_leaves)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return list(self._graph.output_leaves)

    @property
    def input(self) -> Any:
        """The symbolic inputs, as they were given."""
        return self._graph.inputs

    @property
    def output(self) -> Any:
        """The symbolic outputs, as they were given."""
        return self._graph.outputs

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return self._graph.input_names

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs."""
        return self._graph.output_names

    @property
    def input_shape(self) -> Any:
        """The shape of the input, the batch axis None; a list where there are several."""
        return _shapes(self.inputs)

    @property
    def output_shape(self) -> Any:
        """The shape of the output, the batch axis None; a list where there are several."""
        return _shapes(self.outputs)


def _shapes(tensors: list[KerasTensor]) -> Any:
    shapes = [tensor.shape for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else shapes


@functools.cache
def beneath(cls: type[Model]) -> type[Model]:
    """A class of the user's with Functional beneath what it defines itself."""
    return cls if issubclass(cls, Functional) else type(cls.__name__, (cls, Functional), {
        "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__,
        "_stands_for": cls,
    })  # fmt: skip


def _takes_a_graph(cls: type[Model]) -> bool:
    """Whether a class is made of inputs and outputs, so that its graph describes it."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    kinds = {parameter.kind for parameter in parameters}
    anything = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds
    return anything or [parameter.name for parameter in parameters][:2] == ["inputs", "outputs"]
