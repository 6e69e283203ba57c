"""Convolutions: one small kernel, applied at every place."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from talweg import activations, constraints, initializers, regularizers
from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.layers.arguments import choice, fields, integer, integers, unsupported
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec

Sizes = int | Sequence[int]

# The largest copy of the input, in bytes, that a convolution on a CPU may make.
_PATCH_BYTES = 32 << 20


class Convolution(Layer):
    """Base of convolutions over `rank` axes; the arguments are those of `Conv2D`."""

    rank: ClassVar[int]

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
        owner, rank = type(self).__name__, self.rank
        lora = {name: kwargs.pop(name, None) for name in ("lora_rank", "lora_alpha")}
        unsupported(owner, **lora)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = integer(owner, "filters", filters)
        self.groups = integer(owner, "groups", groups)
        self.kernel_size = integers(owner, "kernel_size", kernel_size, rank)
        self.strides = integers(owner, "strides", strides, rank)
        self.dilation_rate = integers(owner, "dilation_rate", dilation_rate, rank)
        paddings = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
        self.padding = choice(owner, "padding", padding, paddings)
        self.data_format = standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)
        if filters % groups:
            raise errors.invalid(owner, "filters", f"a multiple of groups={groups}", filters)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise errors.invalid(
                owner, "strides", f"1 with dilation_rate={dilation_rate}", strides,
                "A convolution is either strided or dilated.",
            )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None or channels % self.groups:
            raise errors.invalid(
                f"Layer {self.name!r}", "the number of input channels",
                f"known, and a multiple of groups={self.groups}", channels,
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        self.input_spec.check(self.name, input_shape)
        self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any) -> Any:
        kernel = self.kernel.value
        activation = self.activation or activations.linear
        channels_last = self.data_format == "channels_last"
        axes = "WHD"[: self.rank][::-1]
        layout = f"N{axes}C" if channels_last else f"NC{axes}"
        padding: Any = self.padding.upper()
        if self.padding == "causal":
            padding = [(self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)]
        inputs = inputs.astype(kernel.dtype)
        if self._suits_patches(inputs):
            outputs = _by_patches(inputs, kernel, self.strides, padding)
            return activation(outputs if self.bias is None else outputs + self.bias.value)
        outputs = lax.conv_general_dilated(
            inputs,
            kernel,
            self.strides,
            padding,
            rhs_dilation=self.dilation_rate,
            dimension_numbers=(layout, f"{axes}IO", layout),
            feature_group_count=self.groups,
        )
        if self.bias is not None:
            bias = self.bias.value
            outputs = outputs + (
                bias if channels_last else jnp.reshape(bias, (-1, *(1,) * self.rank))
            )
        return activation(outputs)

    def _suits_patches(self, inputs: Any) -> bool:
        """Whether to multiply patches by the kernel, in place of XLA's convolution.

        On a CPU the two are equally fast alone, but inside a loop XLA's weight gradient of a
        convolution takes ten times as long, and patches do not (a small CNN on 28×28, batch
        128, jax 0.10.2: 366 ms against 30 ms a step). The copies must stay small.
        """
        size = inputs.size * math.prod(self.kernel_size) * inputs.dtype.itemsize
        return (
            size <= _PATCH_BYTES
            and self.data_format == "channels_last"
            and self.groups == 1
            and set(self.dilation_rate) == {1}
            and jax.default_backend() == "cpu"
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        spans = (d * (k - 1) + 1 for d, k in zip(self.dilation_rate, self.kernel_size, strict=True))
        padded = self.padding != "valid"
        return windows_shape(self, input_shape, tuple(spans), self.strides, padded, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(
                self,
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
            ),
        }


class Conv1D(Convolution):
    """Convolution along time: (batch, steps, channels) to (batch, steps', filters).

    Args: as of `Conv2D`, with one axis; `padding` may also be "causal", where output t
        depends on inputs up to t only.

    >>> import numpy as np
    >>> Conv1D(8, 3, padding="causal")(np.ones((2, 10, 4))).shape
    (2, 10, 8)
    """

    rank = 1


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

    Raises:
        ValueError: an argument is out of range, or the input is smaller than the kernel.

    >>> import numpy as np
    >>> Conv2D(8, 3, padding="same")(np.ones((2, 10, 10, 3))).shape
    (2, 10, 10, 8)
    """

    rank = 2


def _by_patches(x: Any, kernel: Any, strides: Sequence[int], padding: Any) -> Any:
    """A convolution over (batch, …, channels) as one matrix product."""
    window, spatial = kernel.shape[:-2], x.shape[1:-1]
    pads = padding
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(spatial, window, strides, padding)
    if any(side for pair in pads for side in pair):
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    counts = [
        (size - span) // stride + 1
        for size, span, stride in zip(x.shape[1:-1], window, strides, strict=True)
    ]
    patches = [
        x[:, *(slice(i, i + s * n, s) for i, s, n in zip(place, strides, counts, strict=True))]
        for place in itertools.product(*map(range, window))
    ]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def windows_shape(
    layer: Any,
    input_shape: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    padded: bool,
    channels: int | None,
) -> tuple[int | None, ...]:
    """The shape that windows at `strides` leave; `padded` means one per stride.

    Raises:
        ValueError: a window is larger than the input.
    """
    first = 1 if layer.data_format == "channels_last" else 2
    sizes = list(input_shape)
    for axis, (span, stride) in enumerate(zip(window, strides, strict=True), first):
        size = sizes[axis]
        if size is None:
            continue
        sizes[axis] = ((size - 1) if padded else (size - span)) // stride + 1
        if not padded and size < span:
            raise errors.invalid(
                f"Layer {layer.name!r}", f"axis {axis} of the input",
                f"at least the window's {span}", tuple(input_shape),
                "Use padding='same', or fewer layers that shrink it.",
            )  # fmt: skip
    if channels is not None:
        sizes[-1 if first == 1 else 1] = channels
    return tuple(sizes)
