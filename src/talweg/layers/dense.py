"""Dense: every output is a weighted sum of every input."""

from typing import Any

import jax.numpy as jnp

from talweg import activations, constraints, initializers, regularizers
from talweg.layers.arguments import fields, integer, unsupported
from talweg.layers.input_spec import InputSpec
from talweg.layers.low_rank import Adaptable, LowRank


class Dense(LowRank):
    """`activation(x @ kernel + bias)`, on the last axis of the input.

    Args:
        units: size of the output's last axis.
        activation: name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel, of shape (inputs, units); Glorot uniform.
        bias_initializer: of the bias, of shape (units,); zeros.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        kernel_constraint: projection of the kernel after each update.
        bias_constraint: projection of the bias after each update.
        lora_rank: the kernel stands still, and a product of this rank learns in its place;
            see `enable_lora`.
        lora_alpha: over the rank, the factor of that product; the rank.
        quantization_config: Keras's; only None is accepted.

    Raises:
        ValueError: `units` is not a positive integer.

    >>> import numpy as np
    >>> Dense(3, activation="relu")(np.ones((2, 5))).shape
    (2, 3)
    """

    kernel = Adaptable()

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ):
        units = integer("Dense", "units", units)
        unsupported("Dense", quantization_config=quantization_config)
        super().__init__(
            activity_regularizer=activity_regularizer,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            **kwargs,
        )
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.quantization_config = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self._enable_lora_if_asked()

    def call(self, inputs: Any) -> Any:
        outputs = self._through(lambda kernel: jnp.matmul(inputs, kernel))
        if self.bias is not None:
            outputs = outputs + self.bias.value
        return (self.activation or activations.linear)(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(
                self,
                "units",
                "activation",
                "use_bias",
                "kernel_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "bias_regularizer",
                "kernel_constraint",
                "bias_constraint",
                "quantization_config",
            ),
        }
