"""The graph of a functional model as a config, in Keras's format, and back."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import jax

from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.layers import Layer
from talweg.models import operations
from talweg.models.wiring import Wiring
from talweg.ops.keras_tensor import KerasTensor

KEYS = ("layers", "input_layers", "output_layers")


def graph_config(graph: Any) -> dict[str, Any]:
    """Layers, ops, and which tensors each of their uses was given.

    Raises:
        ValueError: an op that has no name in a file.
    """
    return _Writer(graph).config()


class _Writer(Wiring):
    def config(self) -> dict[str, Any]:
        records = []
        for one in self.graph.operations:
            if isinstance(one, Layer):
                records.append(self._layer(one))
            else:
                records.append(self._op(one))
        return {
            "layers": records,
            "input_layers": self._places(self.graph.inputs),
            "output_layers": self._places(self.graph.outputs),
        }

    def _layer(self, layer: Layer) -> dict[str, Any]:
        record = serialize_keras_object(layer)
        built = layer.get_build_config()
        if built:
            record["build_config"] = built
        nodes = self.uses.get(id(layer), [])
        record["name"] = layer.name
        # Keras says of a nested model that it was given no mask.
        nested = {"mask": None} if hasattr(layer, "_graph") else {}
        record["inbound_nodes"] = [
            self._node(node.args, {**nested, **node.kwargs}) for node in nodes
        ]
        return record

    def _op(self, node: Any) -> dict[str, Any]:
        name = self.names[id(node)]
        record, tensors = operations.record(node.operation, node.args, node.kwargs, name)
        record["config"] = self._plain(record["config"])
        record["name"] = name
        record["inbound_nodes"] = [self._node(tensors, {})]
        return record

    def _node(self, args: Any, kwargs: Any) -> dict[str, Any]:
        return {"args": self._plain(list(args)), "kwargs": self._plain(dict(kwargs))}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, KerasTensor):
            place = {"shape": list(value.shape), "dtype": value.dtype,
                     "keras_history": self.history(value)}  # fmt: skip
            return {"class_name": "__keras_tensor__", "config": place}
        if isinstance(value, (list, tuple)):  # Keras writes tuples as lists
            return [self._plain(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self._plain(item) for key, item in value.items()}
        return serialize_keras_object(value)

    def _places(self, tensors: Any) -> Any:
        def place(tensor: KerasTensor) -> list[Any]:
            name, number, index = self.history(tensor)
            node = tensor.node
            # Keras counts a functional model's own making as its first use, here only.
            inside = node is not None and self.graph.input_layer_of(tensor) is None
            nested = inside and hasattr(node.operation, "_graph")  # type: ignore[union-attr]
            return [name, number + 1 if nested else number, index]

        return jax.tree.map(place, tensors)


def graph_from_config(config: Mapping[str, Any], custom_objects: Any = None) -> tuple[Any, Any]:
    """The symbolic inputs and outputs that `graph_config` described.

    Raises:
        ValueError: a cycle; a use of a layer that is not there; a class that is not known.
    """
    return _Reader(config, custom_objects).tensors()


class _Reader:
    def __init__(self, config: Mapping[str, Any], custom_objects: Any):
        self.config = config
        self.makers: dict[str, Callable[..., Any]] = {}
        self.nodes: dict[tuple[str, int], Any] = {}
        self.made: dict[tuple[str, int], list[Any]] = {}
        for record in _listed(config.get("layers"), "layers"):
            name = record.get("name") if isinstance(record, Mapping) else None
            if not isinstance(name, str) or name in self.makers:
                raise _bad(f"a layer is called {name!r}; each needs a name of its own")
            self.makers[name] = _maker(record, custom_objects)
            for number, node in enumerate(_listed(record.get("inbound_nodes"), "inbound_nodes")):
                self.nodes[name, number] = _legacy(node) if isinstance(node, list) else node
            layer = self.makers[name]
            if hasattr(layer, "output") and type(layer).__name__ == "InputLayer":
                self.made[name, 0] = [layer.output]

    def tensors(self) -> tuple[Any, Any]:
        self._run()
        return self._named("input_layers"), self._named("output_layers")

    def _run(self) -> None:
        """Use every layer once all that it is given is there; uses of one layer in order."""
        waits: dict[tuple[str, int], set[tuple[str, int]]] = {}
        followers: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for key, node in self.nodes.items():
            if key in self.made:
                continue
            before = {(name, number) for name, number, _ in _histories(node)}
            if key[1]:
                before.add((key[0], key[1] - 1))
            for other in before:
                if other not in self.nodes and other not in self.made:
                    raise _bad(
                        f"{key[0]!r} is given use {other[1]} of {other[0]!r}, which is not there"
                    )
            waits[key] = {other for other in before if other not in self.made}
            for other in waits[key]:
                followers.setdefault(other, []).append(key)
        ready = deque(key for key, before in waits.items() if not before)
        while ready:
            key = ready.popleft()
            self._use(key)
            for follower in followers.get(key, []):
                waits[follower].discard(key)
                if not waits[follower]:
                    ready.append(follower)
        left = [key[0] for key in waits if key not in self.made]
        if left:
            raise _bad(f"the way to {left[0]!r} goes in a circle")

    def _use(self, key: tuple[str, int]) -> None:
        node = self.nodes[key]
        args = self._revived(_listed(node.get("args"), "args"))
        kwargs = self._revived(node.get("kwargs") or {})
        kwargs = {k: v for k, v in kwargs.items() if v is not None or k not in ("mask", "training")}
        self.made[key] = jax.tree.leaves(self.makers[key[0]](*args, **kwargs))

    def _revived(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                return self._tensor(_history_of(value))
            if "class_name" in value:
                return deserialize_keras_object(value)
            return {key: self._revived(item) for key, item in value.items()}
        return [self._revived(item) for item in value] if isinstance(value, list) else value

    def _tensor(self, history: Any, nested: bool = False) -> Any:
        name, number, place = history
        made = self.made.get((name, number - 1 if nested else number))
        if made is None or not 0 <= place < len(made):
            raise _bad(f"there is no tensor {list(history)}")
        return made[place]

    def _named(self, key: str) -> Any:
        def find(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: find(item) for name, item in value.items()}
            if isinstance(value, list) and value and isinstance(value[0], str):
                history = _checked(value)
                nested = hasattr(self.makers.get(history[0]), "_graph")
                return self._tensor(history, nested and history[1] > 0)
            if isinstance(value, (list, tuple)):
                return type(value)(find(item) for item in value)
            raise _bad(f"{key} holds {value!r}")

        return find(self.config.get(key))


def _maker(record: Mapping[str, Any], custom_objects: Any) -> Callable[..., Any]:
    """A layer, or an op with what its config gives it."""
    function = operations.find(record.get("module"), record.get("class_name"))
    if function is None:
        made = deserialize_keras_object(record, custom_objects)
        if not isinstance(made, Layer):
            raise _bad(f"{record.get('name')!r} is no layer")
        return made
    config = deserialize_keras_object(dict(record.get("config") or {}))
    config.pop("name", None)
    if record.get("class_name") == "GetItem":
        return lambda x, key: function(x, tuple(key) if isinstance(key, list) else key)
    return lambda *args, **kwargs: function(*args, **{**config, **kwargs})


def _histories(node: Any) -> list[Any]:
    if not isinstance(node, Mapping):
        raise _bad(f"a node is {node!r}")
    found = []
    stack: list[Any] = [node.get("args"), node.get("kwargs")]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                found.append(_history_of(value))
            else:
                stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return found


def _history_of(record: Mapping[str, Any]) -> Any:
    inner = record.get("config")
    return _checked(inner.get("keras_history") if isinstance(inner, Mapping) else None)


def _checked(history: Any) -> Any:
    right = isinstance(history, list) and [type(part) for part in history] == [str, int, int]
    if not right:
        raise _bad(f"{history!r} is no [layer, use, place]")
    return history


def _legacy(node: list[Any]) -> dict[str, Any]:
    """A node as Keras 2 wrote it: a list of [layer, use, place, kwargs]."""
    if node and isinstance(node[0], str):
        node = [node]
    if not all(isinstance(part, list) and len(part) in (3, 4) for part in node):
        raise _bad(f"a node is {node!r}")
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": part[:3]}} for part in node
    ]
    kwargs = next((part[3] for part in node if len(part) == 4 and part[3]), {})
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}


def _listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _bad(f"{what} is {value!r} and no list")
    return value


def _bad(what: str) -> ValueError:
    return ValueError(f"The config of a functional model is not right: {what}.")
