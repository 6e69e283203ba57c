"""Types of numbers: their names, the default cast, and the policy of a layer."""

import re
from collections.abc import Iterator, MutableMapping
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors

_PYTHON = {bool: "bool", int: "int32", float: None, str: "string"}
_KNOWN = frozenset(
    [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "bool",
        "string",
        "complex64",
        "complex128",
    ]
)


def standardize_dtype(dtype: Any) -> str:
    """The name of a type, whatever it came as; None is `floatx()`.

    Raises:
        ValueError: the type is none that talweg computes with.
    """
    if dtype is None:
        return config.floatx()
    if dtype in _PYTHON:
        return _PYTHON[dtype] or config.floatx()
    if isinstance(dtype, str):
        name = "int32" if dtype == "int" else dtype
    elif hasattr(dtype, "name"):  # numpy, jax, ml_dtypes, tf.DType
        name = str(dtype.name)
    else:
        try:
            name = str(jnp.dtype(dtype).name)
        except TypeError:
            name = str(dtype).removeprefix("torch.")
    if name not in _KNOWN:
        raise errors.unknown("dtype", name, _KNOWN)
    return name


def is_float(dtype: Any) -> bool:
    """Whether `dtype` is a floating type, bfloat16 included."""
    return "float" in standardize_dtype(dtype)


def as_float(array: np.ndarray) -> np.ndarray:
    """Floating arrays in `floatx()`, all others as they are."""
    if np.issubdtype(array.dtype, np.floating) and array.dtype != config.floatx():
        return array.astype(jnp.dtype(config.floatx()))
    return array


class DTypePolicy:
    """What a layer computes in and what it keeps its weights in.

    Args:
        name: a dtype, or "mixed_float16" / "mixed_bfloat16": compute in the half
            type, keep weights in float32; the default policy where None.

    Raises:
        TypeError: the name is no string.
        ValueError: there is no such type; a quantized policy.

    >>> DTypePolicy("mixed_bfloat16").variable_dtype
    'float32'
    """

    # Keras knows policies for quantized layers; talweg quantizes none.
    quantization_mode = None

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise errors.wrong_type("DTypePolicy", "name", "a string", name)
        self.name = name
        if name in ("mixed_float16", "mixed_bfloat16"):
            self._types = name.removeprefix("mixed_"), "float32"
        elif "_from_" in name:
            raise errors.invalid(
                "DTypePolicy", "name", "no quantized policy", name,
                "talweg does not quantize; use mixed_bfloat16, or export the model to ONNX.",
            )  # fmt: skip
        elif name.startswith("mixed_"):
            known = ["mixed_float16", "mixed_bfloat16"]
            raise errors.unknown("dtype policy", name, known)
        else:
            self._types = (standardize_dtype(name),) * 2

    @property
    def compute_dtype(self) -> str:
        """The type that a layer computes in."""
        return self._types[0]

    @property
    def variable_dtype(self) -> str:
        """The type that a layer keeps its weights in."""
        return self._types[1]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)

    def record(self) -> dict[str, Any]:
        """The policy as files name it."""
        return {
            "module": "keras", "class_name": type(self).__name__, "config": self.get_config(),
            "registered_name": None,
        }  # fmt: skip

    def __eq__(self, other: object) -> bool:
        plain = (DTypePolicy, FloatDTypePolicy)
        if type(self) not in plain or not isinstance(other, DTypePolicy):
            return False
        return type(other) in plain and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`."""


class DTypePolicyMap(DTypePolicy, MutableMapping[str, DTypePolicy]):
    """Policies by the path of a layer, for models that mix them.

    A path has the policy of the key that equals it, else that of the one key that matches the
    whole of it as a regular expression, else the default.

    Args:
        default_policy: a policy or its name; the global one of the moment where None.
        policy_map: policies, or their names, by path or pattern.

    Raises:
        ValueError: a path matches several patterns; a key is given twice.

    >>> policies = DTypePolicyMap("float32", {"encoder/.*": "mixed_bfloat16"})
    >>> policies["encoder/dense"].compute_dtype, policies["head"].compute_dtype
    ('bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: Any = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise errors.invalid("DTypePolicyMap", "default_policy", "no map", default_policy)
        if policy_map is not None and not isinstance(policy_map, dict):
            raise errors.wrong_type("DTypePolicyMap", "policy_map", "a dict", policy_map)
        self._given = default_policy
        self._policies = {key: get_policy(value) for key, value in (policy_map or {}).items()}

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that no key matches."""
        return get_policy(self._given)

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"map_{self.default_policy.name}"

    @property
    def _types(self) -> tuple[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.default_policy.compute_dtype, self.default_policy.variable_dtype

    def __getitem__(self, path: str) -> DTypePolicy:
        if path in self._policies:
            return self._policies[path]
        matches = [pattern for pattern in self._policies if re.fullmatch(pattern, path)]
        if len(matches) > 1:
            raise errors.invalid(
                "DTypePolicyMap", f"the path {path!r}", "matched by one pattern", matches
            )
        return self._policies[matches[0]] if matches else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            raise errors.invalid(
                "DTypePolicyMap", "the key", "new", key, "Delete it first: del policies[key]."
            )
        self._policies[key] = get_policy(policy)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def get_config(self) -> dict[str, Any]:
        given = self._given
        return {
            "default_policy": given.record() if isinstance(given, DTypePolicy) else given,
            "policy_map": {key: policy.record() for key, policy in self._policies.items()},
        }

    def record(self) -> dict[str, Any]:
        return {**super().record(), "module": "keras.dtype_policies"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and self.get_config() == other.get_config()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        mapping = {key: policy.name for key, policy in self._policies.items()}
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={mapping}>"


POLICIES = {cls.__name__: cls for cls in (DTypePolicy, FloatDTypePolicy, DTypePolicyMap)}

_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy that layers take when they are given none; `floatx()` unless set."""
    return _policy or DTypePolicy(config.floatx())


def set_dtype_policy(policy: str | DTypePolicy | None) -> None:
    """Set the default policy; None returns to `floatx()`."""
    global _policy
    _policy = None if policy is None else get_policy(policy)


def get_policy(identifier: Any) -> DTypePolicy:
    """A policy from a policy, its name, its serialized record, or None."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        made = POLICIES.get(identifier.get("class_name", "DTypePolicy"))
        if made is None:
            raise errors.unknown("dtype policy", identifier["class_name"], POLICIES)
        return made.from_config(identifier["config"])
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))
