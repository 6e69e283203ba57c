"""A Keras layer, on Keras's JAX backend, inside a model of talweg."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.variables import Variable
from talweg.layers import Layer


def keras_layer(layer: Any, name: str | None = None) -> "KerasLayer":
    """A Keras layer as a layer of talweg, for those that talweg lacks.

    It computes by the Keras layer's own `stateless_call`; its weights are trained with the
    model. `write_back` puts them into the Keras layer. A model with such a layer keeps its
    weights in `.weights.h5` files; its config can not be written, since the layer is Keras's.

    Args:
        layer: a `keras.layers.Layer`; Keras must run on JAX (KERAS_BACKEND=jax).
        name: its name in the model; that of the Keras layer where None.

    Raises:
        TypeError: no Keras layer.
        ValueError: Keras runs on another backend.

    Example:
        model = talweg.Sequential([
            talweg.adapters.keras_layer(keras.layers.RandomHue(0.2)),
            talweg.layers.Conv2D(8, 3),
        ])
    """
    return KerasLayer(layer, name)


class KerasLayer(Layer):
    """`keras_layer` makes it."""

    def __init__(self, layer: Any, name: str | None = None):
        import keras

        if not isinstance(layer, keras.Layer):
            raise errors.wrong_type("keras_layer", "layer", "a keras.layers.Layer", layer)
        if keras.config.backend() != "jax":
            raise errors.invalid(
                "keras_layer", "Keras's backend", "jax", keras.config.backend(),
                "Set the environment variable KERAS_BACKEND=jax before Keras is imported.",
            )  # fmt: skip
        # The Keras layer makes of its inputs what it likes.
        super().__init__(name=name or layer.name, autocast=False)
        self.module = layer
        self.params: list[Variable] = []
        self.fixed: list[Variable] = []
        if layer.built:
            self._mirror()
            self.built = True

    def build(self, input_shape: Any) -> None:
        """Build the Keras layer, and take its weights."""
        if not self.module.built:
            with jax.ensure_compile_time_eval():
                self.module.build(input_shape)
                self.module.built = True
        if not self.params and not self.fixed:
            self._mirror()

    def _mirror(self) -> None:
        for theirs in (*self.module.trainable_variables, *self.module.non_trainable_variables):
            trainable = theirs.trainable
            value = jnp.asarray(theirs.value)
            own = self.add_weight(
                shape=value.shape,
                dtype=str(value.dtype),
                initializer=lambda shape, dtype=None, value=value: value,
                trainable=trainable,
                name=theirs.name,
            )
            (self.params if trainable else self.fixed).append(own)

    def call(self, inputs: Any, training: bool = False) -> Any:
        flag = {"training": training} if self.module._call_has_training_arg else {}
        params, fixed = [v.value for v in self.params], [v.value for v in self.fixed]
        outputs, changed, losses = self.module.stateless_call(
            params, fixed, inputs, return_losses=True, **flag
        )
        for variable, value in zip(self.fixed, changed, strict=True):
            variable.assign(value)
        self.add_loss(list(losses))
        return outputs

    def write_back(self) -> None:
        """Put the weights into the Keras layer."""
        theirs = (*self.module.trainable_variables, *self.module.non_trainable_variables)
        for variable, own in zip(theirs, (*self.params, *self.fixed), strict=True):
            variable.assign(own.value)

    @property
    def unwritable(self) -> str:
        """Why there is no record of it."""
        return (
            f"{self.name}: a layer of Keras has no config of talweg's. Save the weights with "
            "save_weights(), or call write_back() and let Keras save adapter.module."
        )
