"""Tracing a model with open sizes, and what to say where it needs to know them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import jax
import jax.export
import jax.numpy as jnp

from talweg.export.forward import Forward
from talweg.export.signature import Entry

T = TypeVar("T")


def open_shapes(entries: Iterable[Entry]) -> list[jax.ShapeDtypeStruct]:
    """Shapes and types of arrays, JAX's symbols for the open sizes."""
    entries = list(entries)
    scope = jax.export.SymbolicScope()
    names = {size for entry in entries for size in entry.shape if isinstance(size, str)}
    symbols = {name: jax.export.symbolic_shape(name, scope=scope)[0] for name in names}
    return [
        jax.ShapeDtypeStruct(
            tuple(symbols.get(size, size) for size in entry.shape), jnp.dtype(entry.dtype)
        )
        for entry in entries
    ]


def told(names: Iterable[str], outputs: Iterable[Any]) -> list[Entry]:
    """What comes out, to be told."""
    return [
        Entry(name, tuple(s if isinstance(s, int) else str(s) for s in out.shape), str(out.dtype))
        for name, out in zip(names, outputs, strict=True)
    ]


def traced(trace: Callable[[Forward], T], forward: Forward) -> tuple[Forward, T]:
    """What `trace` gives, for the model or, if that fails, for agreeing sizes; and for which.

    Sequences of several inputs are mostly as long as each other. Whether they must be shows
    when the model is traced.

    Raises:
        ValueError: a layer must know a size that is open.
        Exception: what the model raises for fixed sizes as well.
    """
    try:
        return forward, trace(forward)
    except Exception as error:
        first = error
    shared = forward.agreeing()
    if shared.inputs != forward.inputs:
        try:
            return shared, trace(shared)
        except Exception:  # the first error is told: it is about the model as it is
            pass
    # An error that has to do with the open sizes does not come without them.
    fixed = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in forward.sample(_probe)]
    jax.eval_shape(forward, *forward.arguments(fixed))
    raise ValueError(
        f"export: model {forward.model.name!r} cannot be traced with the sizes that are open in "
        f"{'; '.join(map(str, forward.inputs))}: a layer must know them, or JAX cannot tell that "
        f"they fit. Give them, for example: input_signature={_closed(forward.inputs)}. "
        f"({' '.join(str(first).split())[:300]})"
    ) from first


def _closed(entries: Sequence[Entry]) -> str:
    """A signature with all sizes but the number of rows; that too where the others are known."""
    others = any(isinstance(size, str) for entry in entries for size in entry.shape[1:])

    def spec(entry: Entry) -> str:
        shape = [_probe(size) if isinstance(size, str) else size for size in entry.shape]
        if others and isinstance(entry.shape[0], str):
            shape[0] = None
        return f'InputSpec(shape={tuple(shape)}, dtype="{entry.dtype}")'

    return f"[{', '.join(map(spec, entries))}]"


def _probe(name: str) -> int:
    """A size that most models can be given: rows are few, pictures and sequences are not."""
    return 3 if name == "batch" else 64
