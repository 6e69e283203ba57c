"""Keras's `dtype_policies`: what layers compute in and keep their weights in."""

from collections.abc import Mapping
from typing import Any

from talweg.core.dtypes import DTypePolicy, DTypePolicyMap, FloatDTypePolicy
from talweg.core.dtypes import get_policy as get
from talweg.core.serialization import deserialize_keras_object

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "get",
    "serialize",
]


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The record of a policy.

    >>> serialize(DTypePolicy("mixed_float16"))["config"]
    {'name': 'mixed_float16'}
    """
    return dtype_policy.record()


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> DTypePolicy:
    """The policy that a record describes."""
    return deserialize_keras_object(config, custom_objects)
