"""Depthwise and separable convolutions: space first, channels later or not at all."""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg.layers.arguments import integer
from talweg.layers.convolution import KernelLayer, Sizes
from talweg.layers.windows import depthwise_by_places, suits_patches


class _ByChannel(KernelLayer):
    """Base of layers that give each channel kernels of its own."""

    depth_multiplier: int

    def _depthwise(self, inputs: Any, kernel: Any) -> Any:
        padding = self.padding.upper()
        if suits_patches(self, inputs, self.depth_multiplier):
            return depthwise_by_places(inputs, kernel, self.strides, padding, self.dilation_rate)
        channels = kernel.shape[-2]
        kernel = kernel.reshape(*self.kernel_size, 1, channels * self.depth_multiplier)
        return self._convolved(inputs, kernel, padding, channels)


class DepthwiseConvolution(_ByChannel):
    """Base of depthwise convolutions; the arguments are those of `DepthwiseConv2D`."""

    entries = (
        "depth_multiplier",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, activity_regularizer, parts, **kwargs,
        )  # fmt: skip
        owner = type(self).__name__
        self.depth_multiplier = integer(owner, "depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add("depthwise", shape, name="kernel")
        width = channels * self.depth_multiplier
        self.bias = self._add("bias", (width,)) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        kernel = self.kernel.value
        return self._finished(self._depthwise(inputs.astype(kernel.dtype), kernel))

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        return self._windows_shape(input_shape, channels * self.depth_multiplier)


class SeparableConvolution(_ByChannel):
    """Base of separable convolutions; the arguments are those of `SeparableConv2D`."""

    entries = (
        "depth_multiplier",
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "pointwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "pointwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "pointwise_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "pointwise": (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, activity_regularizer, parts, **kwargs,
        )  # fmt: skip
        owner = type(self).__name__
        self.filters = integer(owner, "filters", filters)
        self.depth_multiplier = integer(owner, "depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)
        width = channels * self.depth_multiplier
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (*(1,) * self.rank, width, self.filters)
        self.depthwise_kernel = self._add("depthwise", depthwise, name="depthwise_kernel")
        self.pointwise_kernel = self._add("pointwise", pointwise, name="pointwise_kernel")
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        kernel = self.depthwise_kernel.value
        pointwise = self.pointwise_kernel.value
        mixed = self._depthwise(inputs.astype(kernel.dtype), kernel)
        if self.data_format == "channels_last":
            matrix = pointwise.reshape(math.prod(pointwise.shape[:-1]), self.filters)
            return self._finished(jnp.matmul(mixed, matrix))
        outputs = lax.conv_general_dilated(
            mixed, pointwise, (1,) * self.rank, "VALID", dimension_numbers=self._layout
        )
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._windows_shape(input_shape, self.filters)


class DepthwiseConv1D(DepthwiseConvolution):
    """Depthwise convolution along time: (batch, steps, channels) to (…, channels × m).

    Args: as of `DepthwiseConv2D`, with one axis.

    >>> import numpy as np
    >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 10, 4))).shape
    (2, 8, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConvolution):
    """Convolution of each channel on its own: channels do not mix.

    Args:
        kernel_size: rows and columns of the kernels, or one integer for both.
        strides: distance between places.
        padding: "valid" stays inside; "same" pads with zeros.
        depth_multiplier: m, the number of kernels, and of outputs, of each channel.
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        dilation_rate: distance between the inputs that a kernel sees.
        activation: name or function; None is linear.
        use_bias: whether a bias is added.
        depthwise_initializer: of the kernel, of shape (rows, columns, channels, m).
        bias_initializer: of the bias, of shape (channels × m,); zeros.
        depthwise_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        depthwise_constraint, bias_constraint: projections after each update.

    Raises:
        ValueError: an argument is out of range, or the input is smaller than the kernel.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, padding="same")(np.ones((2, 10, 10, 3))).shape
    (2, 10, 10, 3)
    """

    rank = 2


class SeparableConv1D(SeparableConvolution):
    """Separable convolution along time: (batch, steps, channels) to (…, filters).

    Args: as of `SeparableConv2D`, with one axis.

    >>> import numpy as np
    >>> SeparableConv1D(8, 3)(np.ones((2, 10, 4))).shape
    (2, 8, 8)
    """

    rank = 1


class SeparableConv2D(SeparableConvolution):
    """A depthwise convolution, then a sum over channels at each place.

    Args:
        filters: the number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier,
            activation, use_bias: as of `DepthwiseConv2D`.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the first
            kernel, of shape (rows, columns, channels, m).
        pointwise_initializer, pointwise_regularizer, pointwise_constraint: of the second,
            of shape (1, 1, channels × m, filters).
        bias_initializer, bias_regularizer, bias_constraint: of the bias, (filters,).
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is out of range, or the input is smaller than the kernel.

    Chollet, CVPR 2017, arXiv:1610.02357.

    >>> import numpy as np
    >>> SeparableConv2D(8, 3)(np.ones((2, 10, 10, 3))).shape
    (2, 8, 8, 8)
    """

    rank = 2
