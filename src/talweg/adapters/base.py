"""What all adapters share: a foreign model as parameters, fixed state and a pure function.

    outputs, fixed, losses = adapter.apply(params, fixed, x, training)

Parameters and fixed state are mirrored as variables, so that to the engine the foreign
model is a model like any other: blocks of compiled steps, callbacks, comparisons.
"""

import contextlib
from collections.abc import Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.variables import Variable
from talweg.models import Model
from talweg.training.interrupt import Interrupt


class Adapter(Model):
    """A model of another library, as a model of talweg.

    Compile, fit, evaluate and predict as usual. After `fit` and `train_on_batch`, however
    they end, the weights are written back into the foreign model; at any other time
    `write_back` does so. What is changed in the foreign model after it was adapted is seen
    after `read`.

    A subclass says how to read, apply and write, by lists of arrays:

    >>> class Line(Adapter):
    ...     def __init__(self, weights):
    ...         super().__init__()
    ...         self.module = weights
    ...         self.mirror([("slope", weights[0]), ("offset", weights[1])], [])
    ...     def read_arrays(self):
    ...         return self.module, []
    ...     def apply(self, params, fixed, x, training):
    ...         return params[0] * x + params[1], fixed, []
    ...     def write_arrays(self, params, fixed):
    ...         self.module[:] = params
    >>> line = Line([jnp.array(0.0), jnp.array(0.0)])
    >>> line.compile("sgd", "mse")
    >>> history = line.fit(jnp.ones((8, 1)), jnp.ones((8, 1)), verbose=0)
    >>> float(line.module[0]) > 0
    True
    """

    # The foreign model; one that cannot change in place is replaced when it is written.
    module: Any

    def __init__(self, name: str | None = None):
        # The foreign model makes of its inputs what it likes.
        super().__init__(name=name, autocast=False)
        self._params: list[Variable] = []
        self._fixed: list[Variable] = []

    # -- what a subclass defines -----------------------------------------------------

    def read_arrays(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """The parameters and the fixed state that the foreign model holds now."""
        raise NotImplementedError

    def apply(
        self, params: list[Any], fixed: list[Any], x: Any, training: bool
    ) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        """Outputs, new fixed state and added losses. Pure."""
        raise NotImplementedError

    def write_arrays(self, params: list[Any], fixed: list[Any]) -> None:
        """Put arrays into the foreign model."""
        raise NotImplementedError

    # -- the mirror ------------------------------------------------------------------

    def mirror(self, params: Sequence[tuple[str, Any]], fixed: Sequence[tuple[str, Any]]) -> None:
        """Make the variables, from pairs of path and array."""
        self._params = [_variable(path, array, trainable=True) for path, array in params]
        self._fixed = [_variable(path, array, trainable=False) for path, array in fixed]
        self.built = True

    def read(self) -> None:
        """Take over what the foreign model holds now."""
        params, fixed = self.read_arrays()
        variables = [*self._params, *self._fixed]
        for variable, array in zip(variables, [*params, *fixed], strict=True):
            variable.assign(_stored(array).copy())

    def write_back(self) -> None:
        """Put the weights and the fixed state into the foreign model."""
        # Copies: either library may give the buffers of its own to a step.
        params, fixed = ([v.value.copy() for v in part] for part in (self._params, self._fixed))
        self.write_arrays(params, fixed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        params, fixed = [v.value for v in self._params], [v.value for v in self._fixed]
        outputs, new, losses = self.apply(params, fixed, inputs, training)
        for variable, value in zip(self._fixed, new, strict=True):
            variable.assign(_stored(value))
        self.add_loss(list(losses))
        return outputs

    @contextlib.contextmanager
    def _running(self) -> Generator[Interrupt]:
        """While programs run; however that ends, the foreign model has the weights."""
        try:
            with super()._running() as interrupt:
                yield interrupt
        finally:
            self.write_back()

    def _on_batch(self, batches: Any, phase: str, return_dict: bool) -> Any:
        try:
            return super()._on_batch(batches, phase, return_dict)
        finally:
            self.write_back()

    @property
    def unwritable(self) -> str:
        """Why there is no record of it."""
        return (
            f"{self.name}: an adapted model is written by its own library: call write_back(), "
            "then save adapter.module."
        )


def _variable(path: str, array: Any, trainable: bool) -> Variable:
    variable = Variable(
        _stored(array), trainable=trainable, autocast=False, name=path.rpartition("/")[2]
    )
    variable.path = path
    return variable


def _stored(array: Any) -> Any:
    """An array that a variable can hold: a random key as its bits."""
    array = jnp.asarray(array)
    return jax.random.key_data(array) if is_key(array) else array


def is_key(array: Any) -> bool:
    """Whether an array holds random keys of JAX's own type."""
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def like(value: Any, example: Any) -> Any:
    """What a variable holds, in the type that the foreign model knows it in."""
    if not is_key(example):
        return value
    return jax.random.wrap_key_data(value, impl=jax.random.key_impl(example))
