"""A model as a picture: boxes for layers, arrows for what flows between them."""

import itertools
import os
from typing import Any

from talweg.core import errors
from talweg.layers import Layer
from talweg.models import operations
from talweg.models.functional import Functional
from talweg.models.graph import Graph
from talweg.models.wiring import Wiring


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """The model as a graph of pydot.

    Args:
        model: a built model.
        show_shapes: whether boxes tell the output's shape.
        show_dtype: whether they tell the output's type.
        show_layer_names: whether they tell the layer's name beside its class.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        expand_nested: whether a model inside is drawn as its layers.
        dpi: dots per inch.
        subgraph: whether the result is a cluster for another graph.
        show_layer_activations: whether boxes tell the activation.
        show_trainable: whether boxes tell what is trained.
        splines: how arrows run: "ortho" at right angles, "line", "polyline", "curved", "spline".
        kwargs: accepted as Keras does.

    Raises:
        ValueError: the model is not built.
        MissingExtraError: pydot is not installed.
    """
    if not model.built:
        raise errors.invalid(
            "model_to_dot", "the model", "built", model, "Call it on data or build(input_shape)."
        )
    pydot = errors.extra("pydot", "media", "Drawing a model")
    if subgraph:
        graph = pydot.Cluster(graph_name=model.name, label=model.name)
    else:
        graph = pydot.Dot()
        graph.set("rankdir", rankdir)
        graph.set("dpi", str(dpi))
        graph.set("splines", splines)
    graph.set_node_defaults(shape="box")
    shown = {
        "shapes": show_shapes,
        "types": show_dtype,
        "names": show_layer_names,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    _Drawing(pydot, graph, shown, expand_nested).draw(model, graph)
    return graph


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> None:
    """Draw a model into a file; needs pydot and Graphviz's `dot`.

    Args:
        model: a built model.
        to_file: the path; its ending tells the format, "png" where there is none.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi: as of
            `model_to_dot`.
        show_layer_activations, show_trainable, splines: the same.
        kwargs: accepted as Keras does.

    Raises:
        ValueError: the model is not built.
        MissingExtraError: pydot or Graphviz's `dot` is not installed.
    """
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable,
        splines=splines,
    )  # fmt: skip
    path = os.fspath(to_file)
    kind = os.path.splitext(path)[1][1:] or "png"
    try:
        dot.write(path if os.path.splitext(path)[1] else f"{path}.png", format=kind)
    except FileNotFoundError as error:
        if "not found in path" not in str(error):
            raise
        raise errors.MissingExtraError(
            "Drawing a model into a file needs Graphviz's program dot, which is not on the PATH. "
            "Install Graphviz (apt install graphviz, brew install graphviz), or write the text "
            "of model_to_dot(model).to_string() and draw it elsewhere."
        ) from error


class _Drawing:
    """A picture that grows box by box.

    Args:
        pydot: the package.
        graph: the whole, which the arrows belong to.
        shown: what labels tell.
        expand: whether models inside are drawn as their layers, in a frame.
    """

    def __init__(self, pydot: Any, graph: Any, shown: dict[str, bool], expand: bool):
        self.pydot, self.graph, self.shown, self.expand = pydot, graph, shown, expand
        self._drawn: dict[int, Ends] = {}
        self._arrows: set[tuple[str, str]] = set()

    def draw(self, model: Any, frame: Any) -> "Ends":
        """Draw the inside of a model into a frame; the boxes where data comes in and goes out."""
        if isinstance(model, Functional):
            return self._draw_graph(model._graph, frame)
        ends = [self._part(layer, frame) for layer in model.layers]
        for (_, sources), (targets, _) in itertools.pairwise(ends):
            self._connect(sources[0], targets[0])
        return (ends[0][0], ends[-1][1]) if ends else ([], [])

    def _draw_graph(self, graph: Graph, frame: Any) -> "Ends":
        names = Wiring(graph).names
        boxes = [self._box(layer, layer.name, frame) for layer in graph.input_layers]
        made = {id(tensor): box for tensor, box in zip(graph.input_leaves, boxes, strict=True)}
        for node in graph.nodes:
            if isinstance(node.operation, Layer):
                targets, sources = self._part(node.operation, frame)
            else:
                box = self._box(node, names[id(node)], frame)
                targets, sources = [box], [box]
            for i, tensor in enumerate(node.parents):
                self._connect(made[id(tensor)], targets[min(i, len(targets) - 1)])
            for i, tensor in enumerate(node.leaves):
                made[id(tensor)] = sources[min(i, len(sources) - 1)]
        return boxes, [made[id(tensor)] for tensor in graph.output_leaves]

    def _part(self, layer: Any, frame: Any) -> "Ends":
        """One layer: a box, or a frame with the layers of a model."""
        if id(layer) not in self._drawn:
            if self.expand and getattr(layer, "layers", None):
                inside = self.pydot.Cluster(graph_name=str(id(layer)), label=layer.name)
                self._drawn[id(layer)] = self.draw(layer, inside)
                frame.add_subgraph(inside)
            else:
                box = self._box(layer, layer.name, frame)
                self._drawn[id(layer)] = [box], [box]
        return self._drawn[id(layer)]

    def _box(self, one: Any, name: str, frame: Any) -> str:
        key = str(id(one))
        frame.add_node(self.pydot.Node(key, label=_label(one, name, self.shown)))
        return key

    def _connect(self, source: str, target: str) -> None:
        if (source, target) not in self._arrows:
            self._arrows.add((source, target))
            self.graph.add_edge(self.pydot.Edge(source, target))


# The boxes of a part where its inputs arrive, and those where its outputs leave.
Ends = tuple[list[str], list[str]]


def _label(one: Any, name: str, shown: dict[str, bool]) -> str:
    """What a box tells of a layer, or of the use of an op."""
    is_layer = isinstance(one, Layer)
    kind = type(one).__name__ if is_layer else operations.kind(one.operation)
    lines = [f"{name} ({kind})" if shown["names"] else kind]
    if shown["activations"] and hasattr(one, "activation"):
        lines.append(f"activation: {getattr(one.activation, '__name__', one.activation)}")
    if shown["shapes"]:
        shapes = _shapes(one) if is_layer else [leaf.shape for leaf in one.leaves]
        lines.append(f"output: {', '.join(map(str, shapes))}")
    if shown["types"]:
        types = [one.compute_dtype] if is_layer else [leaf.dtype for leaf in one.leaves]
        lines.append(f"type: {', '.join(types)}")
    if shown["trainable"] and is_layer:
        lines.append("trainable" if one.trainable else "frozen")
    return "\n".join(lines)


def _shapes(layer: Any) -> list[Any]:
    if hasattr(layer, "batch_shape"):
        return [layer.batch_shape]
    if layer._nodes:
        return [leaf.shape for leaf in layer._nodes[-1].leaves]
    return [layer._seen_shape]
