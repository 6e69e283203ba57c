"""A graph of layers and ops between symbolic tensors: what a functional model runs."""

from collections.abc import Mapping
from typing import Any

import jax

from talweg.core import errors
from talweg.layers import InputLayer, Layer, context
from talweg.models.text import Encoded, applied, has_text
from talweg.models.wiring import Wiring
from talweg.ops.keras_tensor import KerasTensor, Node


class Graph:
    """The way from input tensors to output tensors.

    Args:
        inputs: a KerasTensor, or a list or dict of them.
        outputs: likewise; what they are computed from must end in `inputs`.

    Attributes:
        nodes: the uses of layers and ops, in an order in which they can be run.
        operations: the layers, and the nodes of ops, those furthest from the outputs first.

    Raises:
        TypeError: something among inputs or outputs is no KerasTensor.
        ValueError: an output needs a tensor that is not among the inputs; a tensor is given
            twice as an input.
    """

    def __init__(self, inputs: Any, outputs: Any):
        self.inputs, self.outputs = inputs, outputs
        self.input_leaves = _tensors(inputs, "inputs")
        self.output_leaves = _tensors(outputs, "outputs")
        if len({id(tensor) for tensor in self.input_leaves}) < len(self.input_leaves):
            raise errors.invalid("Model", "inputs", "tensors that differ", inputs)
        self.input_layers = [_input_layer(tensor) for tensor in self.input_leaves]
        self._input_of = {
            id(tensor): layer
            for tensor, layer in zip(self.input_leaves, self.input_layers, strict=True)
        }
        self.nodes: list[Node] = []
        self._visited: dict[int, Any] = {}
        done_nodes: set[int] = set()
        for tensor in self.output_leaves:
            self._visit(tensor, done_nodes)
        self._on_text = {
            number
            for number, node in enumerate(self.nodes)
            if any(tensor.dtype == "string" for tensor in node.parents)
        }
        self.operations = self._by_depth()
        self._check_names()

    # -- how it is found -------------------------------------------------------------

    def _visit(self, output: KerasTensor, done_nodes: set[int]) -> None:
        """List the nodes before a tensor, and its own; without recursion, for deep networks."""
        stack: list[tuple[KerasTensor, bool]] = [(output, False)]
        open_nodes: set[int] = set()
        while stack:
            tensor, done = stack.pop()
            if id(tensor) in self._input_of:
                layer = self._input_of[id(tensor)]
                self._visited.setdefault(id(layer), layer)
                continue
            node = tensor.node
            if node is None:
                raise ValueError(
                    f"Model: an output depends on {tensor!r}, which is not among the inputs. "
                    "Add it to inputs=, or compute it from them."
                )
            if done:
                if id(node) not in done_nodes:
                    done_nodes.add(id(node))
                    self.nodes.append(node)
                continue
            if id(node) in done_nodes or id(node) in open_nodes:
                continue
            open_nodes.add(id(node))
            self._visited.setdefault(id(_one(node)), _one(node))
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in reversed(node.parents))

    def _by_depth(self) -> list[Any]:
        """Layers and ops by their longest way to an output, the furthest first."""
        depth: dict[int, int] = {}
        found: dict[int, Any] = {}
        for node in reversed(self.nodes):
            own = depth.setdefault(id(_one(node)), 0)
            own = max([own, *(depth.get(id(tensor), 0) for tensor in node.leaves)])
            depth[id(_one(node))] = own
            for parent in node.parents:
                depth[id(parent)] = max(depth.get(id(parent), 0), own + 1)
        for tensor, layer in zip(self.input_leaves, self.input_layers, strict=True):
            depth[id(layer)] = depth.get(id(tensor), 0)
            found[id(layer)] = layer
        order = {key: i for i, key in enumerate(self._visited)}
        found.update((id(_one(node)), _one(node)) for node in self.nodes)
        last = len(order)
        return sorted(found.values(), key=lambda one: (-depth[id(one)], order.get(id(one), last)))

    def _check_names(self) -> None:
        names = [layer.name for layer in self.layers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise errors.invalid(
                "Model", "the name of a layer", "unique", twice, "Give one of the two another name."
            )

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs included, those furthest from the outputs first."""
        return [one for one in self.operations if isinstance(one, Layer)]

    def input_layer_of(self, tensor: KerasTensor) -> InputLayer | None:
        """The input that a tensor is; None where it is computed."""
        return self._input_of.get(id(tensor))

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in their order."""
        return [layer.name for layer in self.input_layers]

    @property
    def output_names(self) -> list[str]:
        """The names of what gives the outputs, in their order."""
        history = Wiring(self).history
        return [str(history(tensor)[0]) for tensor in self.output_leaves]

    # -- how it runs -----------------------------------------------------------------

    def run(self, inputs: Any) -> Any:
        """The outputs for arrays in the place of the inputs."""
        given, done = inputs.parts if isinstance(inputs, Encoded) else (self._given(inputs), {})
        values = dict(zip(map(id, self.input_leaves), given, strict=True))
        for number, node in enumerate(self.nodes):
            if number in done:
                results = done[number]
                if isinstance(results, Encoded):  # by a model among the nodes, which goes on
                    results = node.operation(results, **_arguments(node, values)[1])
            elif isinstance(inputs, Encoded) and number in self._on_text:
                continue  # text again, which only such nodes were given
            else:
                args, kwargs = _arguments(node, values)
                results = node.operation(*args, **kwargs)
            _keep(node, results, values)
        return jax.tree.map(lambda tensor: values[id(tensor)], self.outputs)

    @property
    def reads_text(self) -> bool:
        """Whether an input is of text."""
        return any(tensor.dtype == "string" for tensor in self.input_leaves)

    def encode_text(self, inputs: Any) -> Encoded:
        """The inputs that are no text, and what the nodes on text make, by their numbers.

        Raises:
            TypeError: a layer of numbers is given text, or an output is text.
        """
        given = self._given(inputs)
        values = dict(zip(map(id, self.input_leaves), given, strict=True))
        done: dict[int, Any] = {}
        for number in sorted(self._on_text):
            node = self.nodes[number]
            args, kwargs = _arguments(node, values)
            results = applied(node.operation, *args, **kwargs)
            if not isinstance(results, Encoded):
                _keep(node, results, values)
            if not has_text(results):
                done[number] = results
        texts = [tensor for tensor in self.output_leaves if tensor.dtype == "string"]
        if texts:
            raise errors.wrong_type("Model", "every output", "of numbers", texts[0])
        return Encoded(([None if has_text(value) else value for value in given], done))

    def _given(self, inputs: Any) -> list[Any]:
        """What was given, as the inputs say."""
        return list(map(fitted, self.input_layers, self.arranged(inputs)))

    def arranged(self, inputs: Any) -> list[Any]:
        """What was given, in the order of the inputs: by place, or by name from a dict."""
        if isinstance(inputs, Mapping):
            by_name = dict(zip(self.input_names, self.input_leaves, strict=True))
            names = list(by_name)
            if isinstance(self.inputs, Mapping):
                names = sorted(self.inputs)
            missing = [name for name in names if name not in inputs]
            if missing:
                raise errors.invalid(
                    "Model", "the input", f"a dict with {', '.join(names)}", sorted(inputs)
                )
            return [leaf for name in names for leaf in _leaves(inputs[name])]
        if isinstance(self.inputs, Mapping) and list(self.inputs) != sorted(self.inputs):
            raise errors.invalid(
                "Model", "the input", f"a dict with {', '.join(self.inputs)}",
                type(inputs).__name__, "The model was made of a dict that is not in alphabetical "
                "order, so the order of a list would be a guess.",
            )  # fmt: skip
        arrays = _leaves(inputs)
        if len(arrays) != len(self.input_leaves):
            raise errors.invalid(
                "Model", "the input", f"{len(self.input_leaves)} arrays "
                f"({', '.join(self.input_names)})", f"{len(arrays)}",
            )  # fmt: skip
        return arrays


def _one(node: Node) -> Any:
    """A layer, which may be used often, or this one use of an op."""
    return node.operation if isinstance(node.operation, Layer) else node


def _arguments(node: Node, values: dict[int, Any]) -> Any:
    """What a node is called with, where its tensors have values."""
    return jax.tree.map(
        lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf,
        (node.args, node.kwargs),
    )


def _keep(node: Node, results: Any, values: dict[int, Any]) -> None:
    for tensor, result in zip(node.leaves, jax.tree.leaves(results), strict=True):
        values[id(tensor)] = result


def _leaves(value: Any) -> list[Any]:
    return jax.tree.leaves(value, is_leaf=lambda leaf: leaf is None)


def _tensors(given: Any, what: str) -> list[KerasTensor]:
    leaves = jax.tree.leaves(given)
    for leaf in leaves:
        if not isinstance(leaf, KerasTensor):
            raise errors.wrong_type(
                "Model", what, "KerasTensors, as Input() and layers return them", leaf
            )
    if not leaves:
        raise errors.invalid("Model", what, "at least one tensor", given)
    return leaves


def _input_layer(tensor: KerasTensor) -> InputLayer:
    """The InputLayer behind a tensor, or a new one for a tensor from inside another graph."""
    layer = getattr(tensor, "layer", None)
    if isinstance(layer, InputLayer):
        return layer
    return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def check_kind(layer: InputLayer, array: Any) -> None:
    """Refuse text where an Input states numbers, and the reverse.

    Raises:
        TypeError: naming the input.
    """
    if has_text(array) != (layer.dtype == "string"):
        got = [getattr(leaf, "dtype", type(leaf)) for leaf in jax.tree.leaves(array)]
        raise errors.wrong_type("Model", f"input {layer.name!r}", layer.dtype, str(got[0]))


def fitted(layer: InputLayer, array: Any) -> Any:
    """An array of the type and rank that an Input states.

    Raises:
        ValueError: another shape, or none where an array is needed.
        TypeError: text for numbers, or numbers for text.
    """
    if array is None:
        if layer.optional:
            return None
        raise errors.invalid("Model", f"input {layer.name!r}", "an array", None)
    given, wanted = array, layer.batch_shape
    shape = tuple(array.shape)
    if len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        array, shape = array[..., None], (*shape, 1)
    elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
        array, shape = array[..., 0], shape[:-1]
    fits = len(shape) == len(wanted) and all(
        size is None or got is None or size == got
        for size, got in zip(wanted[1:], shape[1:], strict=True)
    )
    if not fits:
        raise errors.invalid(
            "Model", f"input {layer.name!r}", f"of shape {wanted}", tuple(array.shape)
        )
    check_kind(layer, array)
    if not isinstance(array, KerasTensor) and layer.dtype != "string":
        dtype = jax.dtypes.canonicalize_dtype(layer.dtype)
        array = array if array.dtype == dtype else array.astype(dtype)
    return context.carry_mask(given, array)
