"""What the parts of a graph are called, and which use of what each tensor comes from."""

from collections import Counter
from typing import Any

from talweg.layers import Layer
from talweg.models import operations
from talweg.ops.keras_tensor import KerasTensor


class Wiring:
    """Which use of what a tensor comes from, by name, as Keras's files say it.

    Args:
        graph: the graph of a functional model.

    Attributes:
        names: the names of the uses of ops, by their id.
    """

    def __init__(self, graph: Any):
        self.graph = graph
        self.uses: dict[int, list[Any]] = {}
        for node in graph.nodes:
            self.uses.setdefault(_owner(node), []).append(node)
        for layer in graph.layers:
            if id(layer) in self.uses:
                order = {id(node): i for i, node in enumerate(layer._nodes)}
                self.uses[id(layer)].sort(key=lambda node: order.get(id(node), len(order)))
        self.names = self._names_of_ops()

    def _names_of_ops(self) -> dict[int, str]:
        taken = {layer.name for layer in self.graph.layers}
        counts: Counter[str] = Counter()
        names: dict[int, str] = {}
        for node in self.graph.nodes:
            if isinstance(node.operation, Layer):
                continue
            base = operations.base_name(node.operation)
            while True:
                count = counts[base]
                counts[base] += 1
                name = f"{base}_{count}" if count else base
                if name not in taken:
                    break
            names[id(node)] = name
        return names

    def history(self, tensor: KerasTensor) -> list[Any]:
        """The name of what made a tensor, the number of its use, the place in what came out."""
        source = self.graph.input_layer_of(tensor)
        if source is not None:
            return [source.name, 0, 0]
        node = tensor.node
        assert node is not None
        number = next(i for i, use in enumerate(self.uses[_owner(node)]) if use is node)
        place = next(i for i, leaf in enumerate(node.leaves) if leaf is tensor)
        return [self.names.get(id(node)) or node.operation.name, number, place]

    def sources(self, one: Any) -> list[str]:
        """Where what a layer, or the use of an op, was given comes from: "name[use][place]"."""
        given = [tensor for node in self.uses.get(id(one), []) for tensor in node.parents]
        return [f"{name}[{use}][{place}]" for name, use, place in map(self.history, given)]


def _owner(node: Any) -> int:
    """Layers are shared between uses; a use of an op is an operation of its own."""
    return id(node.operation) if isinstance(node.operation, Layer) else id(node)
