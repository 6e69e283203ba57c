"""Names: snake case, automatic numbering, and the paths of nested layers."""

import contextlib
import re
from collections import Counter
from collections.abc import Generator
from contextvars import ContextVar

_counts: Counter[str] = Counter()
_scope: ContextVar[tuple[str, ...]] = ContextVar("talweg_name_scope", default=())


def to_snake_case(name: str) -> str:
    """`BatchNormalization` -> `batch_normalization`, as Keras names its layers."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """The next free name of a class: `dense`, `dense_1`, `dense_2`, …"""
    prefix = to_snake_case(class_name)
    number = count(prefix) - 1
    return f"{prefix}_{number}" if number else prefix


def count(prefix: str) -> int:
    """How often this was asked for `prefix` or a name made of it, this time included."""
    _counts[prefix] += 1
    return _counts[prefix]


def reset() -> None:
    """Start the numbering of `auto_name` again."""
    _counts.clear()


@contextlib.contextmanager
def name_scope(name: str) -> Generator[None]:
    """Variables made inside carry `name/` in their path."""
    token = _scope.set((*_scope.get(), name))
    try:
        yield
    finally:
        _scope.reset(token)


def current_path(name: str) -> str:
    """`name` below the scopes that are open."""
    return "/".join((*_scope.get(), name))
