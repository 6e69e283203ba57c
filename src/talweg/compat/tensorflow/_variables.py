"""`tf.Variable`: a variable of talweg whose parts can be assigned."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from talweg.core import variables


class _AnyVariable(type):
    """Every variable of talweg counts as a `tf.Variable`, the weights of layers too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, variables.Variable) and type(instance) is not Part


class Variable(variables.Variable, metaclass=_AnyVariable):
    """A variable of talweg with TensorFlow's arguments.

    Args:
        initial_value: the value, or a function without arguments that makes it.
        trainable: whether optimizers move it; None is True.
        name: its name.
        dtype: the type of its numbers.
        constraint: a function that its value passes through after each step.
        validate_shape, caching_device, variable_def, import_scope, synchronization,
            aggregation, shape: accepted as TensorFlow does, without effect.

    A part of it can be assigned, and scattered into:

    >>> v = Variable([[1.0, 2.0], [3.0, 4.0]])
    >>> v[0, 1].assign(9.0).numpy().tolist()
    [[1.0, 9.0], [3.0, 4.0]]
    >>> v.scatter_nd_add([[1, 0]], [2.0]).numpy().tolist()
    [[1.0, 9.0], [5.0, 4.0]]
    """

    __slots__ = ()

    def __init__(
        self,
        initial_value: Any = None,
        trainable: Any = None,
        validate_shape: Any = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ):
        value = initial_value() if callable(initial_value) else initial_value
        super().__init__(value, dtype=dtype, trainable=trainable is not False, name=name)
        self.constraint = constraint

    def __getitem__(self, index: Any) -> "Part":
        return Part(self, index)


class Part(variables.Variable):
    """A part of a variable: its value is computed with, and may be assigned.

    Args:
        whole: the variable.
        index: which entries, as NumPy indexes.
    """

    __slots__ = ("_index", "_whole")

    def __init__(self, whole: variables.Variable, index: Any):
        self._whole, self._index = whole, index
        self.name, self.path, self.autocast = whole.name, whole.path, False

    @property
    def value(self) -> Any:
        """The entries as they are now."""
        return self._whole.value[self._index]

    _value = value  # type: ignore[assignment]

    def assign(self, value: Any) -> variables.Variable:
        """Set the entries; returns the whole variable."""
        return self._whole.assign(self._whole.value.at[self._index].set(_array(value)))

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __repr__(self) -> str:
        return repr(self.value)


class IndexedSlices(NamedTuple):
    """Rows of a tensor: `values[i]` belongs at `indices[i]` of the first axis."""

    values: Any
    indices: Any
    dense_shape: Any = None


def _array(value: Any) -> Any:
    return value.value if isinstance(value, variables.Variable) else value


def _scattering(way: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`scatter_…`, which takes IndexedSlices, and `scatter_nd_…`, which takes whole indices."""

    def moved(variable: Variable, index: Any, values: Any) -> Any:
        values = jnp.asarray(_array(values), variable.value.dtype)
        if way == "subtract":
            values = -values
        place = variable.value.at[index]
        return variable.assign(getattr(place, "add" if way == "subtract" else way)(values))

    def scatter(
        self: Variable, sparse_delta: IndexedSlices, use_locking: Any = False, name: Any = None
    ) -> Any:
        return moved(self, jnp.asarray(sparse_delta.indices), sparse_delta.values)

    def scatter_nd(self: Variable, indices: Any, updates: Any, name: Any = None) -> Any:
        return moved(self, tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0)), updates)

    return scatter, scatter_nd


_WAYS = {
    "update": "set", "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide",
    "min": "min", "max": "max",
}  # fmt: skip
for _name, _way in _WAYS.items():
    for _prefix, _method in zip(("scatter", "scatter_nd"), _scattering(_way), strict=True):
        _method.__name__ = f"{_prefix}_{_name}"
        _method.__doc__ = f"The value with entries changed by `{_way}` at their places."
        setattr(Variable, _method.__name__, _method)
