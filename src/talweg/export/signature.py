"""The inputs of a model: their shapes and types, from the model or from `input_signature`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import dtypes, errors
from talweg.layers import InputSpec
from talweg.layers.masks import call_parameters
from talweg.ops.keras_tensor import KerasTensor

# What `call` takes besides arrays.
_FLAGS = ("training", "mask")


@dataclass(frozen=True)
class Entry:
    """An array that a model takes or gives.

    Attributes:
        name: what it is called in the file.
        shape: its sizes; a name for one that is open, the same for sizes that agree.
        dtype: the type of its numbers.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(map(str, self.shape))}) {self.dtype}"


def read(model: Any, signature: Any) -> tuple[list[Entry], Any]:
    """The inputs of a model, flat, and how they stand in the arguments of its call.

    Args:
        model: a model; asked where `signature` is None.
        signature: as `Model.export` takes it.
    """
    arguments = _known(model) if signature is None else _arguments(model, signature)
    paths, structure = jax.tree_util.tree_flatten_with_path(arguments)
    if not paths:
        raise errors.invalid("export", "input_signature", "at least one array", signature)
    known = _names_in_model(model, len(paths))
    names, entries = [], []
    for i, (path, spec) in enumerate(paths):
        given = spec.name if isinstance(spec, InputSpec) else None
        names.append(given or keys(path[1:]) or known[i] or numbered("input", i, len(paths)))
    for i, (name, (_, spec)) in enumerate(zip(unique(names), paths, strict=True)):
        shape, dtype = _shape_and_type(spec)
        open_names = ("batch", *(f"size_{i}_{axis}" for axis in range(1, len(shape))))
        sizes = (o if s is None else s for s, o in zip(shape, open_names, strict=False))
        entries.append(Entry(name, tuple(sizes), dtype))
    return entries, structure


def agreeing(entries: Iterable[Entry]) -> list[Entry]:
    """The same, with one name for all sizes that are open on the same axis.

    >>> two = [Entry(name, ("batch", f"size_{name}_1"), "int32") for name in "ab"]
    >>> [str(entry) for entry in agreeing(two)]
    ['a (batch, size_1) int32', 'b (batch, size_1) int32']
    """

    def shared(shape: Sequence[int | str]) -> tuple[int | str, ...]:
        return tuple(
            f"size_{axis}" if isinstance(size, str) and axis else size
            for axis, size in enumerate(shape)
        )

    return [Entry(entry.name, shared(entry.shape), entry.dtype) for entry in entries]


def symbols(entries: Iterable[Entry]) -> list[KerasTensor]:
    """Symbolic tensors of the same shapes and types."""
    return [
        KerasTensor((s if isinstance(s, int) else None for s in entry.shape), entry.dtype)
        for entry in entries
    ]


# -- where it comes from ------------------------------------------------------------------


def _known(model: Any) -> tuple[Any, ...]:
    """The arguments of a call, as the graph, the Input or the first call tell them.

    Raises:
        ValueError: none of them does.
    """
    graph = getattr(model, "_graph", None)
    if graph is not None:
        return (jax.tree.map(_rows_open, graph.inputs),)
    first = getattr(model, "_input", None)
    if first is not None:
        return (_rows_open(first.output),)
    if model._first_call is not None:
        return jax.tree.map(_rows_open, model._first_call)
    raise ValueError(
        f"export: model {model.name!r} does not know its inputs. Call it on a batch, train it, or "
        'pass input_signature=[keras.InputSpec(shape=(None, …), dtype="float32")].'
    )


def _rows_open(tensor: Any) -> KerasTensor:
    return KerasTensor((None, *tensor.shape[1:]) if tensor.shape else (), tensor.dtype)


def _arguments(model: Any, signature: Any) -> tuple[Any, ...]:
    """The arguments of a call: a list of several are these, or one input that is a list."""
    if not isinstance(signature, (list, tuple)):
        return (signature,)
    if len(signature) == 1:
        return (signature[0],)
    parameters = [
        parameter
        for name, parameter in call_parameters(type(model)).items()
        if name not in _FLAGS and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return (list(signature),) if len(parameters) == 1 else tuple(signature)


def _shape_and_type(spec: Any) -> tuple[tuple[int | None, ...], str]:
    """The sizes, None for open ones, and the type as JAX keeps it."""
    shape, dtype = getattr(spec, "shape", None), getattr(spec, "dtype", None)
    if shape is None or dtype is None:
        raise errors.wrong_type(
            "export", "a part of input_signature", "something with a shape and a dtype", spec,
            'Write InputSpec(shape=(None, 28, 28), dtype="float32").',
        )  # fmt: skip
    if dtype == "string" or getattr(dtype, "kind", "") in ("O", "S", "T", "U"):
        raise errors.wrong_type(
            "export", "an input", "of numbers", spec,
            "Strings stay on the host: export the model behind the layers that read them.",
        )  # fmt: skip
    if not isinstance(spec, InputSpec | KerasTensor | jax.ShapeDtypeStruct) and shape:
        shape = (None, *shape[1:])  # of an example, whose rows could be more
    kept = jax.dtypes.canonicalize_dtype(jnp.dtype(dtypes.standardize_dtype(dtype)))
    return tuple(None if size is None else int(size) for size in shape), str(kept)


# -- names ---------------------------------------------------------------------------------


def _names_in_model(model: Any, count: int) -> list[str | None]:
    names = list(getattr(model, "input_names", []))
    first = getattr(model, "_input", None)
    if first is not None:
        names = [first.name]
    return names if len(names) == count else [None] * count


def keys(path: Sequence[Any]) -> str:
    """The keys of dicts on a way into a structure, the numbers of lists in it: "left/0".

    Empty where there is no dict.
    """
    if not any(isinstance(step, jax.tree_util.DictKey) for step in path):
        return ""
    return "/".join(str(getattr(step, "key", getattr(step, "idx", ""))) for step in path)


def numbered(name: str, i: int, count: int) -> str:
    """The name alone where there is but one, else with its number."""
    return name if count == 1 else f"{name}_{i}"


def unique(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names that differ, from each other and from those that are taken.

    >>> unique(["a", "b", "a"], taken=["b"])
    ['a', 'b_1', 'a_1']
    """
    used, counts, result = set(taken), Counter[str](), []
    for name in names:
        free = name
        while free in used:
            counts[name] += 1
            free = f"{name}_{counts[name]}"
        used.add(free)
        result.append(free)
    return result
