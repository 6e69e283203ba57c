"""Nonlinear functions as layers."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg import activations, constraints, initializers, regularizers
from talweg.core import errors
from talweg.layers.arguments import fields, number
from talweg.layers.base import Layer
from talweg.layers.elementwise import Elementwise
from talweg.layers.input_spec import InputSpec


class Activation(Elementwise):
    """`activation(x)`.

    Args:
        activation: name or function; None is linear.

    >>> import numpy as np
    >>> Activation("relu")(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "activation")}


class ReLU(Elementwise):
    """x from `threshold` to `max_value`, `negative_slope` (x - `threshold`) below.

    Args:
        max_value: the cap; None for none.
        negative_slope: the slope below the threshold, >= 0.
        threshold: where the linear part starts, >= 0.

    >>> import numpy as np
    >>> ReLU(max_value=6.0)(np.array([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_value is not None:
            number("ReLU", "max_value", max_value)
        self.max_value = max_value
        self.negative_slope = number("ReLU", "negative_slope", negative_slope)
        self.threshold = number("ReLU", "threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        names = ("max_value", "negative_slope", "threshold")
        return {**super().get_config(), **fields(self, *names)}


class LeakyReLU(Elementwise):
    """x where positive, `negative_slope` x elsewhere.

    Args:
        negative_slope: >= 0; 0.3, where the activation of this name has 0.2.

    >>> import numpy as np
    >>> LeakyReLU(0.5)(np.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "negative_slope")}


class ELU(Elementwise):
    """x where positive, `alpha` (exp(x) - 1) elsewhere. arXiv:1511.07289.

    Args:
        alpha: minus the limit at minus infinity.

    >>> import numpy as np
    >>> ELU()(np.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "alpha")}


class PReLU(Layer):
    """x where positive, `alpha` x elsewhere, with a learned alpha. arXiv:1502.01852.

    Args:
        alpha_initializer: of alpha, which has the shape of a sample; zeros.
        alpha_regularizer: penalty on alpha.
        alpha_constraint: projection of alpha after each update.
        shared_axes: axes along which there is one alpha, counted from 1.

    >>> import numpy as np
    >>> PReLU("ones", shared_axes=1)(np.array([[-1.0, 2.0]])).tolist()
    [[-1.0, 2.0]]
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is None:
            self.shared_axes = None
        else:
            self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes)

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise errors.invalid(
                "PReLU", "shared_axes", f"in [1, {len(input_shape)})", shared,
                "The batch axis 0 is always shared.",
            )  # fmt: skip
        sizes = dict(enumerate(input_shape[1:], 1))
        self.alpha = self.add_weight(
            shape=tuple(1 if axis in shared else size for axis, size in sizes.items()),
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        fixed = {axis: size for axis, size in sizes.items() if axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=fixed if shared else {})

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs) - self.alpha.value * activations.relu(-inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")
        return {**super().get_config(), **fields(self, *names)}


class Softmax(Elementwise):
    """exp(x) / sum(exp(x)) along `axis`.

    Args:
        axis: an axis, or several together.

    Called with `mask`, entries where it is False get probability 0.

    >>> import numpy as np
    >>> Softmax()(np.zeros(2)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axis: Any = tuple(self.axis) if isinstance(self.axis, (list, tuple)) else self.axis
        if mask is None:
            return activations.softmax(inputs, axis)
        try:
            fits = np.broadcast_shapes(mask.shape, inputs.shape) == inputs.shape
        except ValueError:
            fits = False
        if not fits:
            raise errors.invalid(
                "Softmax", "mask", f"of a shape that broadcasts to {inputs.shape}", mask.shape
            )
        kept = mask if mask.dtype == bool else mask > 0.5
        low = -3e4 if inputs.dtype == jnp.float16 else -1e9
        return jnp.where(kept, activations.softmax(jnp.where(kept, inputs, low), axis), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axis")}
