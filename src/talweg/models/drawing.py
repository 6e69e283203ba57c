"""A model as a picture: boxes for layers, arrows for what flows between them."""

import os
from typing import Any

from talweg.core import errors
from talweg.models.functional import Functional


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
    graph.set_node_defaults(shape="box")
    shown = {
        "shapes": show_shapes,
        "types": show_dtype,
        "names": show_layer_names,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    for source, target in _arrows(model, expand_nested):
        for layer in (source, target):
            if layer is not None:
                graph.add_node(pydot.Node(str(id(layer)), label=_label(layer, shown)))
        if source is not None:
            graph.add_edge(pydot.Edge(str(id(source)), str(id(target))))
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
    **kwargs: Any,
) -> None:
    """Draw a model into a file; needs pydot and Graphviz's `dot`.

    Args:
        model: a built model.
        to_file: the path; its ending tells the format, "png" where there is none.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi: as of
            `model_to_dot`.
        show_layer_activations, show_trainable: the same.
        kwargs: accepted as Keras does.

    Raises:
        ValueError: the model is not built.
        MissingExtraError: pydot is not installed.
    """
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable,
    )  # fmt: skip
    path = os.fspath(to_file)
    kind = os.path.splitext(path)[1][1:] or "png"
    dot.write(path if os.path.splitext(path)[1] else f"{path}.png", format=kind)


def _arrows(model: Any, expand: bool) -> list[tuple[Any, Any]]:
    """Pairs of layers between which data flows; (None, layer) for those with no layer before."""
    if isinstance(model, Functional):
        graph = model._graph
        pairs: list[tuple[Any, Any]] = [(None, layer) for layer in graph.input_layers]
        makers = {
            id(tensor): layer
            for tensor, layer in zip(graph.input_leaves, graph.input_layers, strict=True)
        }
        for node in graph.nodes:
            is_layer = hasattr(node.operation, "weights")
            here = node.operation if is_layer else node
            makers.update((id(leaf), here) for leaf in node.leaves)
            pairs += [(makers.get(id(parent)), here) for parent in node.parents]
    else:
        layers = list(getattr(model, "layers", None) or model._sublayers())
        pairs = list(zip([None, *layers], layers, strict=False))
    if not expand:
        return pairs
    inner = [
        pair
        for layer in dict.fromkeys(target for _, target in pairs)
        if getattr(layer, "layers", None)
        for pair in _arrows(layer, expand)
    ]
    return pairs + inner


def _label(layer: Any, shown: dict[str, bool]) -> str:
    if not hasattr(layer, "weights"):
        return getattr(layer.operation, "__name__", str(layer.operation))
    kind = type(layer).__name__
    lines = [f"{layer.name} ({kind})" if shown["names"] else kind]
    if shown["activations"] and hasattr(layer, "activation"):
        lines.append(f"activation: {getattr(layer.activation, '__name__', layer.activation)}")
    if shown["shapes"]:
        lines.append(f"output: {getattr(layer, 'batch_shape', None) or layer._seen_shape}")
    if shown["types"]:
        lines.append(f"type: {layer.compute_dtype}")
    if shown["trainable"]:
        lines.append("trainable" if layer.trainable else "frozen")
    return "\n".join(lines)
