"""Where a model's parts stand in a file: the paths that Keras gives them.

A part is a layer or an optimizer. Its path is the way of attributes to it, the first in
this order: the layers of a Sequential or functional model, then attributes by the alphabet,
private ones last. In a list, tuple or dict a part is called by its class: `dense`,
`dense_1`; a container inside another is `container`, `container_1`.
"""

import functools
from collections.abc import Iterator
from typing import Any

from talweg.core.names import to_snake_case
from talweg.layers import Layer
from talweg.models import Model, Sequential
from talweg.models.functional import Functional
from talweg.optimizers import Optimizer

_CONTAINERS = (list, tuple, dict)


def parts(root: Any) -> Iterator[tuple[str, Any]]:
    """Every layer and optimizer below `root`, itself first, with its path; each once.

    >>> from talweg import layers
    >>> model = Sequential([layers.Dense(2), layers.Dense(2)])
    >>> [path for path, _ in parts(model)]
    ['', 'layers/dense', 'layers/dense_1']
    """
    # By identity, and kept: the address of a list that a property made is soon another's.
    seen: dict[int, Any] = {}
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", root)])]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        path, value = found
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, _CONTAINERS):
            stack.append(_items(path, value))
        else:
            yield path, value
            stack.append(_attributes(path, value))


def _is_part(value: Any) -> bool:
    return isinstance(value, (Layer, Optimizer))


def _attributes(path: str, part: Any) -> Iterator[tuple[str, Any]]:
    prefix = f"{path}/" if path else ""
    if isinstance(part, Optimizer):
        inner = getattr(part, "inner_optimizer", None)
        return iter([(f"{prefix}inner_optimizer", inner)] if inner is not None else [])
    return _attributes_of_layer(prefix, part)


def _attributes_of_layer(prefix: str, layer: Any) -> Iterator[tuple[str, Any]]:
    ordered = isinstance(layer, (Sequential, Functional))
    if ordered:
        yield f"{prefix}layers", list(layer.layers)
    own = _own_names(isinstance(layer, Model))
    names = {name for name in dir(layer) if not name.startswith("__")} - own
    if isinstance(layer, Model):
        names |= {"optimizer"} if ordered else {"optimizer", "layers"}
    for name in sorted(names, key=lambda name: (name.startswith("_"), name)):
        try:
            value = getattr(layer, name)
        except Exception:  # a property that is not ready holds no part yet
            continue
        if _is_part(value) or isinstance(value, _CONTAINERS):
            yield f"{prefix}{name}", value


def _items(path: str, container: Any) -> Iterator[tuple[str, Any]]:
    counts: dict[str, int] = {}
    for value in list(container.values() if isinstance(container, dict) else container):
        if _is_part(value):
            name = to_snake_case(type(value).__name__)
        elif isinstance(value, _CONTAINERS):
            name = "container"
        else:
            continue
        count = counts[name] = counts.get(name, -1) + 1
        yield f"{path}/{name}_{count}" if count else f"{path}/{name}", value


@functools.cache
def _own_names(of_models: bool) -> frozenset[str]:
    """Attributes of talweg's bases, none of which is a part of a user's layer or model."""
    bases = (Model, Sequential, Functional) if of_models else (Layer,)
    made = [Model(name="base"), Sequential(name="base")] if of_models else [Layer(name="base")]
    names = {name for cls in bases for name in dir(cls)} | {"_graph"}
    return frozenset(names.union(*(vars(one) for one in made)))
