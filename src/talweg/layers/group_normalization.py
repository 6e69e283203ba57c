"""GroupNormalization: each sample with the moments of groups of its channels."""

from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.layers import arguments
from talweg.layers.arguments import fields
from talweg.layers.input_spec import InputSpec
from talweg.layers.normalization import Normalizing, positions


class GroupNormalization(Normalizing):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, moments of a group of channels.

    The moments are taken over the channels of the group and over all axes but the batch's,
    in float32 at least. With one group it is a layer normalization over the whole sample,
    with a group per channel an instance normalization. Wu & He, ECCV 2018, arXiv:1803.08494.

    Args:
        groups: how many groups the channels are divided into; -1 is one for each channel.
        axis: the axis of the channels.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: zeros, ones.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after each update.

    Raises:
        ValueError: the groups do not divide the channels.

    >>> import numpy as np
    >>> y = GroupNormalization(groups=2)(np.array([[1.0, 3.0, 10.0, 30.0]]))
    >>> [round(float(v), 2) for v in y[0]]
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        owner = "GroupNormalization"
        self.groups = groups if groups == -1 else arguments.integer(owner, "groups", groups)
        self.axis = axis
        if isinstance(arguments.axes(owner, axis), list):
            raise errors.wrong_type(owner, "axis", "an integer", axis)
        self.autocast = False

    def build(self, input_shape: Any) -> None:
        (axis,) = positions(self, self.axis, len(input_shape))
        size = input_shape[axis]
        if axis == 0 or size is None:
            raise errors.invalid(
                f"Layer {self.name!r}", "axis", "one of known size behind the batch axis",
                self.axis, f"The input has the shape {tuple(input_shape)}.",
            )  # fmt: skip
        if self.groups != -1 and size % self.groups:
            raise errors.invalid(
                f"Layer {self.name!r}", "groups", f"a divisor of the {size} channels", self.groups
            )
        self._add_gamma_and_beta((size,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs)
        x = x.astype(jnp.result_type(x.dtype, jnp.float32))
        (axis,) = positions(self, self.axis, x.ndim)
        size = x.shape[axis]
        groups = size if self.groups == -1 else self.groups
        shape, split = x.shape, (groups, size // groups)
        x = x.reshape(*shape[:axis], *split, *shape[axis + 1 :])
        channels = [split[i - axis] if i in (axis, axis + 1) else 1 for i in range(x.ndim)]
        axes = tuple(i for i in range(1, x.ndim) if i != axis)
        mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
        return self._normalized(x, mean, variance, channels).reshape(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "groups")}
