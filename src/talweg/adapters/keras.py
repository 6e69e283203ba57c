"""A Keras model, on Keras's JAX backend."""

from typing import Any

from talweg.adapters.base import Adapter
from talweg.core import errors


def keras_model(model: Any) -> Adapter:
    """A built Keras model as a model of talweg.

    The graph is Keras's own, by its `stateless_call`: layers of your own, losses added by
    regularizers, batch statistics and dropout behave as in Keras's `fit`. Loss, metrics and
    optimizer are talweg's. Freeze layers before adapting.

    Args:
        model: a built `keras.Model`; Keras must run on JAX (KERAS_BACKEND=jax).

    Raises:
        TypeError: no Keras model.
        ValueError: it is not built, or Keras runs on another backend.

    Example:
        adapted = talweg.adapters.keras_model(model)
        adapted.compile(talweg.optimizers.Adam(1e-3), "mse")
        adapted.fit(x, y)
        model.predict(x)  # has the trained weights
    """
    return KerasAdapter(model)


class KerasAdapter(Adapter):
    """`keras_model` makes it."""

    def __init__(self, model: Any):
        import keras

        if not isinstance(model, keras.Model):
            raise errors.wrong_type("keras_model", "model", "a keras.Model", model)
        if keras.config.backend() != "jax":
            raise errors.invalid(
                "keras_model", "Keras's backend", "jax", keras.config.backend(),
                "Set the environment variable KERAS_BACKEND=jax before Keras is imported.",
            )  # fmt: skip
        if not model.built or not all(layer.built for layer in model._flatten_layers()):
            raise errors.invalid(
                "keras_model", "model", "built", "a model without weights",
                "Call it on a batch once, or begin it with keras.Input.",
            )  # fmt: skip
        super().__init__(name=model.name)
        self.module = model
        self._mine = (list(model.trainable_variables), list(model.non_trainable_variables))
        self.mirror(*([(v.path, v.value) for v in variables] for variables in self._mine))
        for variable, theirs in zip(self._params, self._mine[0], strict=True):
            variable.constraint = theirs.constraint
        self._flag = model._call_has_training_arg
        if getattr(model, "output_names", None):
            self.output_names = list(model.output_names)

    def read_arrays(self) -> tuple[list[Any], list[Any]]:
        params, fixed = ([variable.value for variable in part] for part in self._mine)
        return params, fixed

    def apply(
        self, params: list[Any], fixed: list[Any], x: Any, training: bool
    ) -> tuple[Any, list[Any], list[Any]]:
        flag = {"training": training} if self._flag else {}
        return self.module.stateless_call(params, fixed, x, return_losses=True, **flag)

    def write_arrays(self, params: list[Any], fixed: list[Any]) -> None:
        for part, arrays in zip(self._mine, (params, fixed), strict=True):
            for variable, array in zip(part, arrays, strict=True):
                variable.assign(array)
