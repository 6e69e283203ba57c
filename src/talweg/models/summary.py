"""The table that `model.summary()` prints."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax

from talweg.core import errors
from talweg.models import operations
from talweg.models.graph import Graph
from talweg.models.wiring import Wiring


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print layers, output shapes, parameters, connections, and the totals.

    Args:
        model: built or not.
        line_length: the width; that of the terminal by default.
        print_fn: where the text goes; `print` by default.
        expand_nested: whether layers inside layers are listed.
        show_trainable: whether a column says which layers learn.
        layer_range: the names of the first and the last layer to list, or patterns of them.

    Raises:
        ValueError: `layer_range` matches no layer.
    """
    from rich.console import Console
    from rich.table import Table

    graph = getattr(model, "_graph", None)
    wiring = None if graph is None or _is_chain(graph) else Wiring(graph)
    table = Table(show_lines=False, header_style="bold")
    table.add_column("Layer (type)", overflow="fold")
    table.add_column("Output Shape", overflow="fold")
    table.add_column("Param #", justify="right")
    if wiring is not None:
        table.add_column("Connected to", overflow="fold")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    listed = model.layers if graph is None else graph.operations
    names = Wiring(graph).names if graph is not None else {}
    listed = _between(listed, layer_range, lambda one: names.get(id(one)) or one.name)
    for one, depth in _rows(listed, expand_nested):
        cells = _cells(one, depth, names)
        if wiring is not None:
            sources = ", ".join(wiring.sources(one)) if not depth else ""
            cells.append(sources or "-")
        if show_trainable:
            learns = "-" if not getattr(one, "weights", None) else "Y" if one.trainable else "N"
            cells.append(learns)
        table.add_row(*cells)
    console = Console(width=line_length, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(f'Model: "{model.name}"', style="bold")
        console.print(table)
        for line in _totals(model):
            console.print(line)
    text = capture.get().rstrip()
    (print_fn or print)(text)


def _cells(one: Any, depth: int, names: dict[int, str]) -> list[str]:
    """Name and type, shape of the output, number of parameters."""
    before = "   " * depth + "└ " if depth else ""
    if id(one) in names:  # the use of an op
        shape = _written([leaf.shape for leaf in one.leaves])
        return [f"{before}{names[id(one)]} ({operations.kind(one.operation)})", shape, "0"]
    count = f"{one.count_params():,}" if one.built else "0 (unbuilt)"
    return [f"{before}{one.name} ({type(one).__name__})", _shape(one), count]


def _is_chain(graph: Graph) -> bool:
    """Whether the graph is one way without forks, whose order says how it is connected."""
    used = [id(node.operation) for node in graph.nodes]
    single = all(len({id(parent) for parent in node.parents}) == 1 for node in graph.nodes)
    sources = [id(parent) for node in graph.nodes for parent in node.parents]
    ends = len(graph.input_leaves) == 1 == len(graph.output_leaves)
    return ends and single and len(set(used)) == len(used) and len(set(sources)) == len(sources)


def _between(
    listed: Sequence[Any], bounds: Sequence[str] | None, name: Callable[[Any], str]
) -> Sequence[Any]:
    """The part from the first that matches one of the bounds to the last."""
    if bounds is None:
        return listed
    if len(bounds) != 2 or not all(isinstance(bound, str) for bound in bounds):
        raise errors.invalid("summary", "layer_range", "two names of layers", bounds)
    places = [[i for i, one in enumerate(listed) if re.match(bound, name(one))] for bound in bounds]
    if not all(places):
        raise errors.invalid("summary", "layer_range", "names of layers of the model", bounds)
    first, last = places
    if min(first) > max(last):
        first, last = last, first
    return listed[min(first) : max(last) + 1]


def _rows(listed: Iterable[Any], expand: bool, depth: int = 0) -> Iterable[tuple[Any, int]]:
    for one in listed:
        yield one, depth
        if expand and hasattr(one, "layers"):
            yield from _rows(one.layers, expand, depth + 1)


def _shape(layer: Any) -> str:
    tensors = [node.outputs for node in layer._nodes[-1:]]
    if hasattr(layer, "batch_shape"):
        return str(tuple(layer.batch_shape))
    if tensors:
        return _written([leaf.shape for leaf in jax.tree.leaves(tensors)])
    if layer._build_shape is None and not hasattr(layer, "output_shape"):
        seen = layer._seen_shape
        return "?" if seen is None else str(seen)
    try:
        shape = getattr(layer, "output_shape", None) or layer.compute_output_shape(
            layer._build_shape
        )
    except Exception:  # a layer whose shape is not known without data
        return "?"
    return _written(jax.tree.leaves(shape, is_leaf=lambda value: isinstance(value, tuple)))


def _written(shapes: Sequence[Any]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes)


def _totals(model: Any) -> Iterable[str]:
    groups = {
        "Trainable params": model.trainable_weights,
        "Non-trainable params": model.non_trainable_weights,
    }
    if model.optimizer is not None and model.optimizer.built:
        groups["Optimizer params"] = model.optimizer.variables
    everything = [v for variables in groups.values() for v in variables]
    for title, variables in {"Total params": everything, **groups}.items():
        count = sum(math.prod(v.shape) for v in variables)
        size = sum(v.value.nbytes for v in variables)
        yield f" {title}: {count:,} ({_bytes(size)})"


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError
