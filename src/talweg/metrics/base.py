"""Metric: numbers gathered over batches, and what they say in the end.

A metric is a few non-trainable variables, an update that adds one batch to them, and a
result computed from them. The update is pure array code over `Variable.assign`, so the
engine runs it inside the compiled step, on variables to which it has lent tracers.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors, names
from talweg.core.dtypes import get_policy
from talweg.core.serialization import deserialize_keras_object
from talweg.core.variables import Variable, lend

Array = jax.Array


class Metric:
    """Base of all metrics.

    A subclass makes its state with `add_variable` in `__init__`, adds a batch to it in
    `update_state`, and reads it in `result`. State whose shape depends on the data is
    made in `build`, which the engine calls before it compiles.

    Args:
        dtype: the type of the result; `floatx()` where none is given.
        name: its name in logs; made from the class where none is given.

    Raises:
        ValueError: the number of variables given to a `stateless_*` method is wrong.
        RuntimeError: a subclass adds variables before `super().__init__()`.

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.top = self.add_variable((), "zeros", name="top")
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.top.assign(jnp.maximum(self.top.value, jnp.max(jnp.asarray(y_pred))))
    ...
    ...     def result(self):
    ...         return self.top.value
    >>> float(Largest()([0, 0], [3.0, 2.0]))
    3.0
    """

    _direction: Literal["up", "down"] | None = None
    """Whether more is better, for callbacks whose mode is "auto"."""

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or names.auto_name(type(self).__name__)
        # Not the layers' policy: sums over an epoch need all their digits.
        self._dtype = get_policy(config.floatx() if dtype is None else dtype).compute_dtype
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        return self._dtype

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: str | Callable[..., Any] | Array | None = None,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new piece of state.

        Args:
            shape: its shape.
            initializer: a name, a record, a callable `(shape, dtype=)`, an array;
                zeros where none is given.
            dtype: its type, `floatx()` where none is given.
            aggregation: accepted as Keras does; one program holds one copy.
            name: its name below the metric's own.
        """
        if not hasattr(self, "_variables"):
            raise RuntimeError(
                f"{type(self).__name__} adds a variable before it is set up. "
                "Call super().__init__() first in its __init__()."
            )
        with names.name_scope(self.name.replace("/", ">")):
            # Sums over an epoch need all their digits, also under mixed precision.
            variable = Variable(
                _initializer(initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation=aggregation,
                name=name,
            )
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: str | Callable[..., Any] | Array | None = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_variable` under its older name."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """Its own variables, then those of the metrics among its attributes."""
        found = {id(variable): variable for variable in self._variables}
        for part in _parts(vars(self).values()):
            inner = part.variables if isinstance(part, Metric) else [part]
            found.update((id(variable), variable) for variable in inner)
        return list(found.values())

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `variables`: nothing of a metric is trained."""
        return self.variables

    def build(self, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> None:
        """Make the state whose shape depends on the data; most metrics have none.

        `update_state` calls it when it must. Inside a compiled step it would be too late.
        """

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Add one batch: `(y_true, y_pred, sample_weight=None)`."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Any:
        """What the batches so far say: a scalar, an array, or a dict of scalars."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def reset_state(self) -> None:
        """Forget all batches: every variable becomes zero."""
        for variable in self.variables:
            variable.assign(jnp.zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add one batch, then give the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """The state after one batch, as a pure function of the state before."""
        variables = self._matched(metric_variables)
        with lend(variables, metric_variables) as loan:
            self.update_state(*args, **kwargs)
            return loan.values(variables)

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The result as a pure function of the state."""
        with lend(self._matched(metric_variables), metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """The state that `reset_state` would set, without setting it."""
        variables = self.variables
        with lend(variables, [variable.value for variable in variables]) as loan:
            self.reset_state()
            return loan.values(variables)

    def _matched(self, metric_variables: Sequence[Any]) -> list[Variable]:
        variables = self.variables
        if len(metric_variables) != len(variables):
            raise errors.invalid(
                self.name,
                "metric_variables",
                f"one array for each of the {len(variables)} variables",
                len(metric_variables),
                "Metrics whose state depends on the shape of the data need build() first.",
            )
        return variables

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**deserialize_keras_object(config))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _parts(values: Iterable[Any]) -> Iterable[Metric | Variable]:
    """The metrics and variables among `values` and the lists and dicts in them."""
    for value in values:
        if isinstance(value, (Metric, Variable)):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _parts(value)
        elif isinstance(value, dict):
            yield from _parts(value.values())


def _initializer(identifier: Any) -> Any:
    """An initial value or its maker. Initializers are a package of the same row, so a
    name other than that of the counters' zeros is looked up as a record is."""
    if identifier is None:
        return _zeros
    if isinstance(identifier, str):
        if identifier == "zeros":
            return _zeros
        identifier = {"module": "keras.initializers", "class_name": identifier, "config": {}}
    return deserialize_keras_object(identifier) if isinstance(identifier, dict) else identifier


def _zeros(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
    return np.zeros(shape, dtype)
