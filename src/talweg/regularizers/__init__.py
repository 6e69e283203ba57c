"""Regularizers: penalties on weights."""

from collections.abc import Mapping
from typing import Any

from talweg.core.serialization import Catalog
from talweg.regularizers.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

__all__ = [
    "Regularizer",
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "get",
    "serialize",
    "deserialize",
]

_catalog = Catalog("regularizer", globals(), Regularizer)


def get(identifier: Any) -> Any:
    """A regularizer from a name, a record, a class or an object; None stays None.

    >>> get("l2").l2
    0.01
    """
    return _catalog.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The record of a regularizer."""
    return _catalog.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that a record or a name describes."""
    found = _catalog.deserialize(config, custom_objects)
    return found() if isinstance(found, type) else found
