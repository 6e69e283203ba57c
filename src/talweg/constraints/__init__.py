"""Constraints: where weights may be."""

from collections.abc import Mapping
from typing import Any

from talweg.constraints.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from talweg.core.serialization import Catalog

max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "unit_norm",
    "get",
    "serialize",
    "deserialize",
]

_catalog = Catalog("constraint", globals(), Constraint)


def get(identifier: Any) -> Any:
    """A constraint from a name, a record, a class or an object; None stays None.

    >>> get("max_norm").max_value
    2
    """
    return _catalog.get(identifier)


def serialize(constraint: Any) -> Any:
    """The record of a constraint."""
    return _catalog.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that a record or a name describes."""
    found = _catalog.deserialize(config, custom_objects)
    return found() if isinstance(found, type) else found
