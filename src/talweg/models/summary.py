"""The table that `model.summary()` prints."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> None:
    """Print layers, output shapes, parameters, and their totals."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_lines=False, header_style="bold")
    table.add_column("Layer (type)")
    table.add_column("Output Shape")
    table.add_column("Param #", justify="right")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for layer, depth in _rows(model, expand_nested):
        cells = [
            f"{'  ' * depth}{layer.name} ({type(layer).__name__})",
            _shape(layer),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        if show_trainable:
            cells.append("yes" if layer.trainable else "no")
        table.add_row(*cells)
    console = Console(width=line_length, highlight=False)
    with console.capture() as capture:
        console.print(f'[bold]Model: "{model.name}"[/bold]')
        console.print(table)
        for line in _totals(model):
            console.print(line)
    text = capture.get().rstrip()
    (print_fn or print)(text)


def _rows(model: Any, expand: bool, depth: int = 0) -> Iterable[tuple[Any, int]]:
    for layer in model.layers if hasattr(model, "layers") else model._sublayers():
        yield layer, depth
        if expand:
            yield from _rows(layer, expand, depth + 1)


def _shape(layer: Any) -> str:
    if layer._build_shape is None and not hasattr(layer, "output_shape"):
        seen = layer._seen_shape
        return "?" if seen is None else str(seen)
    try:
        shape = getattr(layer, "output_shape", None) or layer.compute_output_shape(
            layer._build_shape
        )
    except Exception:  # a layer whose shape is not known without data
        return "?"
    return ", ".join(str(s) for s in jax.tree.leaves(shape, is_leaf=lambda v: isinstance(v, tuple)))


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
