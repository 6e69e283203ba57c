"""Transposed convolutions: from one entry to a window, the way back of a convolution."""

import math
from typing import Any

from jax import lax

from talweg.core import errors
from talweg.layers.arguments import integer, integers
from talweg.layers.convolution import KernelLayer, Sizes
from talweg.layers.windows import suits_patches, transposed_by_places


class ConvolutionTranspose(KernelLayer):
    """Base of transposed convolutions; the arguments are those of `Conv2DTranspose`."""

    entries = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "output_padding",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        parts = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, activity_regularizer, parts, **kwargs,
        )  # fmt: skip
        self.filters = integer(owner, "filters", filters)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = integers(owner, "output_padding", output_padding, self.rank, 0)
            pairs = zip(self.output_padding, self.strides, strict=True)
            if any(extra >= stride for extra, stride in pairs):
                raise errors.invalid(
                    owner, "output_padding", f"less than strides={strides}", output_padding
                )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise errors.invalid(
                owner, "strides", f"1 with dilation_rate={dilation_rate}", strides,
                "A convolution is either strided or dilated.",
            )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None

    @property
    def _spans(self) -> list[int]:
        return [d * (k - 1) + 1 for d, k in zip(self.dilation_rate, self.kernel_size, strict=True)]

    @property
    def _pads(self) -> list[tuple[int, int]]:
        """What is added on both sides of the inputs laid `strides` apart, by axis."""
        extras = self.output_padding or (None,) * self.rank
        pads = []
        for span, stride, extra in zip(self._spans, self.strides, extras, strict=True):
            if self.padding == "valid":
                more = max(stride - span, 0) if extra is None else extra
                pads.append((span - 1, span - 1 + more))
                continue
            total = stride + span - 2 if extra is None else span + span % 2 - 2 + extra
            left = min((total + 1) // 2, span - 1)
            pads.append((left, total - left))
        return pads

    def call(self, inputs: Any) -> Any:
        kernel = self.kernel.value
        inputs = inputs.astype(kernel.dtype)
        # Each pixel lays down one number per place and filter.
        copies = -(-math.prod((*self.kernel_size, self.filters)) // kernel.shape[-1])
        if suits_patches(self, inputs, copies):
            sizes = self.compute_output_shape(inputs.shape)[1:-1]
            cuts = [
                span - 1 - left for span, (left, _) in zip(self._spans, self._pads, strict=True)
            ]
            return self._finished(
                transposed_by_places(inputs, kernel, self.strides, self.dilation_rate, cuts, sizes)
            )
        outputs = lax.conv_transpose(
            inputs,
            kernel,
            self.strides,
            self._pads,
            rhs_dilation=self.dilation_rate,
            dimension_numbers=self._layout,
            transpose_kernel=True,
        )
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        sizes = list(input_shape)
        axes = zip(self._spans, self.strides, self._pads, strict=True)
        for axis, (span, stride, (left, right)) in enumerate(axes, first):
            if (size := sizes[axis]) is not None:
                sizes[axis] = (size - 1) * stride + 1 + left + right - span + 1
        sizes[-1 if first == 1 else 1] = self.filters
        return tuple(sizes)


class Conv1DTranspose(ConvolutionTranspose):
    """Transposed convolution along time: (batch, steps, channels) to (…, steps', filters).

    Args: as of `Conv2DTranspose`, with one axis.

    >>> import numpy as np
    >>> Conv1DTranspose(8, 3, strides=2, padding="same")(np.ones((2, 5, 4))).shape
    (2, 10, 8)
    """

    rank = 1


class Conv2DTranspose(ConvolutionTranspose):
    """Transposed convolution of images: what a convolution made small becomes large again.

    Input i adds `kernel * x[i]` to the output from `i * strides` on; where windows
    overlap, they add up. This is the gradient of a convolution with respect to its input.

    Args:
        filters: the number of output channels.
        kernel_size: rows and columns of the kernel, or one integer for both.
        strides: distance between the windows of neighbours; not together with dilation.
        padding: "same" gives size × stride, "valid" (size - 1) × stride +
            max(kernel, stride).
        output_padding: rows and columns beyond the smallest output; less than `strides`.
            By default, as many as `padding` says.
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        dilation_rate: distance between the outputs of one input.
        activation: name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel, of shape (rows, columns, filters, channels).
        bias_initializer: of the bias, of shape (filters,); zeros.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections after each update.

    Raises:
        ValueError: an argument is out of range.

    Dumoulin and Visin, A guide to convolution arithmetic, arXiv:1603.07285.

    >>> import numpy as np
    >>> Conv2DTranspose(8, 3, strides=2)(np.ones((2, 4, 4, 3))).shape
    (2, 9, 9, 8)
    """

    rank = 2


class Conv3DTranspose(ConvolutionTranspose):
    """Transposed convolution of volumes.

    Args: as of `Conv2DTranspose`, with three axes; `output_padding` comes after
        `data_format`, as in Keras.

    >>> import numpy as np
    >>> Conv3DTranspose(8, 2, strides=2)(np.ones((2, 2, 3, 4, 3))).shape
    (2, 4, 6, 8, 8)
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Sizes | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
