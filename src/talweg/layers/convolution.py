"""Convolutions: one small kernel, applied at every place."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from talweg import activations, constraints, initializers, regularizers
from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.core.memory import share_one_heap
from talweg.layers.arguments import choice, fields, integer, integers
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec
from talweg.layers.low_rank import Adaptable, LowRank
from talweg.layers.windows import convolved, suits_patches, windows_shape

Sizes = int | Sequence[int]


class KernelLayer(Layer):
    """Base of all layers that move kernels over `rank` axes.

    Args:
        parts: by name ("kernel", "bias", …) the initializer, regularizer and constraint,
            which become attributes and config entries such as `kernel_initializer`.
    """

    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    # The entries of the config, in Keras's order; a subclass says which.
    entries: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str | None,
        dilation_rate: Sizes,
        activation: Any,
        use_bias: bool,
        activity_regularizer: Any,
        parts: dict[str, tuple[Any, Any, Any]],
        **kwargs: Any,
    ):
        share_one_heap()
        owner, rank = type(self).__name__, self.rank
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.kernel_size = integers(owner, "kernel_size", kernel_size, rank)
        self.strides = integers(owner, "strides", strides, rank)
        self.dilation_rate = integers(owner, "dilation_rate", dilation_rate, rank)
        self.padding = choice(owner, "padding", padding, self.paddings)
        self.data_format = standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        for part, (initializer, regularizer, constraint) in parts.items():
            setattr(self, f"{part}_initializer", initializers.get(initializer))
            setattr(self, f"{part}_regularizer", regularizers.get(regularizer))
            setattr(self, f"{part}_constraint", constraints.get(constraint))
        self.input_spec = InputSpec(min_ndim=rank + 2)

    def _channels(self, input_shape: Any, groups: int = 1) -> int:
        """The number of input channels, which the layer then insists on."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None or channels % groups:
            more = f", and a multiple of groups={groups}" if groups > 1 else ""
            raise errors.invalid(
                f"Layer {self.name!r}", "the number of input channels", f"known{more}", channels
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        self.input_spec.check(self.name, input_shape)
        return channels

    def _add(self, part: str, shape: tuple[int, ...], name: str | None = None) -> Any:
        return self.add_weight(
            name=name or part,
            shape=shape,
            initializer=getattr(self, f"{part}_initializer"),
            regularizer=getattr(self, f"{part}_regularizer"),
            constraint=getattr(self, f"{part}_constraint"),
        )

    @property
    def _layout(self) -> tuple[str, str, str]:
        axes = "WHD"[: self.rank][::-1]
        images = f"N{axes}C" if self.data_format == "channels_last" else f"NC{axes}"
        return images, f"{axes}IO", images

    def _convolved(self, inputs: Any, kernel: Any, padding: Any, groups: int) -> Any:
        """XLA's convolution."""
        return lax.conv_general_dilated(
            inputs,
            kernel,
            self.strides,
            padding,
            rhs_dilation=self.dilation_rate,
            dimension_numbers=self._layout,
            feature_group_count=groups,
        )

    def _finished(self, outputs: Any) -> Any:
        """Bias and activation."""
        if self.bias is not None:
            bias = self.bias.value
            if self.data_format == "channels_first":
                bias = jnp.reshape(bias, (-1, *(1,) * self.rank))
            outputs = outputs + bias
        return (self.activation or activations.linear)(outputs)

    def _windows_shape(self, input_shape: Any, channels: int) -> Any:
        spans = (d * (k - 1) + 1 for d, k in zip(self.dilation_rate, self.kernel_size, strict=True))
        padded = self.padding != "valid"
        return windows_shape(self, input_shape, tuple(spans), self.strides, padded, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, *self.entries)}


class Convolution(LowRank, KernelLayer):
    """Base of convolutions over `rank` axes; the arguments are those of `Conv2D`."""

    kernel = Adaptable()
    entries = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
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
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
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
        self.groups = integer(owner, "groups", groups)
        if filters % groups:
            raise errors.invalid(owner, "filters", f"a multiple of groups={groups}", filters)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise errors.invalid(
                owner, "strides", f"1 with dilation_rate={dilation_rate}", strides,
                "A convolution is either strided or dilated.",
            )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape, self.groups)
        self.compute_output_shape(input_shape)
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._add("kernel", shape)
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None
        self._enable_lora_if_asked()

    def call(self, inputs: Any) -> Any:
        kernel = self._merged()
        padding: Any = self.padding.upper()
        if self.padding == "causal":
            padding = [(self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)]
        inputs = inputs.astype(kernel.dtype)
        if self.groups == 1 and suits_patches(self, inputs, math.prod(self.kernel_size)):
            outputs = convolved(inputs, kernel, self.strides, padding, self.dilation_rate)
        else:
            outputs = self._convolved(inputs, kernel, padding, self.groups)
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._windows_shape(input_shape, self.filters)


class Conv1D(Convolution):
    """Convolution along time: (batch, steps, channels) to (batch, steps', filters).

    Args: as of `Conv2D`, with one axis; `padding` may also be "causal", where output t
        depends on inputs up to t only.

    >>> import numpy as np
    >>> Conv1D(8, 3, padding="causal")(np.ones((2, 10, 4))).shape
    (2, 10, 8)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Convolution):
    """Convolution of images: (batch, rows, columns, channels) to (…, filters).

    Args:
        filters: the number of output channels.
        kernel_size: rows and columns of the kernel, or one integer for both.
        strides: distance between places; not together with dilation.
        padding: "valid" stays inside; "same" pads with zeros, so that the output has
            ceil(size / stride) rows and columns.
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        dilation_rate: distance between the inputs that a kernel sees.
        groups: channels in `groups` parts, each with kernels of its own.
        activation: name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel, of shape (rows, columns, channels / groups,
            filters); Glorot uniform.
        bias_initializer: of the bias, of shape (filters,); zeros.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections after each update.
        lora_rank, lora_alpha: a product of this rank learns in place of the kernel; see `Dense`.

    Raises:
        ValueError: an argument is out of range, or the input is smaller than the kernel.

    >>> import numpy as np
    >>> Conv2D(8, 3, padding="same")(np.ones((2, 10, 10, 3))).shape
    (2, 10, 10, 8)
    """

    rank = 2


class Conv3D(Convolution):
    """Convolution of volumes: (batch, depth, rows, columns, channels) to (…, filters).

    Args: as of `Conv2D`, with three axes.

    >>> import numpy as np
    >>> Conv3D(8, 3)(np.ones((2, 5, 6, 7, 3))).shape
    (2, 3, 4, 5, 8)
    """

    rank = 3
