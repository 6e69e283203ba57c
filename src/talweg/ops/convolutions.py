"""Convolutions, and the rearrangements of pixels that go with them.

Images are (batch, *spatial, channels), or (batch, channels, *spatial) with
`data_format="channels_first"`; kernels are (*spatial, in, out).
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax import lax

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.ops.keras_tensor import Tensor, op

Sizes = int | Sequence[int]


def each(value: Sizes, rank: int) -> tuple[int, ...]:
    """One size per spatial axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def checked_padding(padding: str, owner: str) -> str:
    """The mode of padding in the capitals that XLA wants."""
    if str(padding).lower() not in ("valid", "same"):
        raise errors.invalid(owner, "padding", "'valid' or 'same'", padding)
    return padding.upper()


def layout(rank: int, data_format: str | None) -> tuple[Any, bool]:
    """The axes of images and kernels, and whether channels come last."""
    axes = "DHW"[-rank:]
    last = standardize_data_format(data_format) == "channels_last"
    images = f"N{axes}C" if last else f"NC{axes}"
    return (images, f"{axes}IO", images), last


def _convolved(
    inputs: Any,
    kernel: Any,
    strides: Sizes,
    padding: Any,
    data_format: str | None,
    dilation_rate: Sizes,
    groups: int,
) -> Any:
    rank = inputs.ndim - 2
    dimensions, _ = layout(rank, data_format)
    result = lax.conv_general_dilated(
        inputs.astype(kernel.dtype),
        kernel,
        each(strides, rank),
        padding,
        rhs_dilation=each(dilation_rate, rank),
        dimension_numbers=dimensions,
        feature_group_count=groups,
    )
    if result.size == 0 and inputs.size:
        raise errors.invalid(
            "conv",
            "the input",
            f"at least as large as the kernel {kernel.shape[:-2]}",
            inputs.shape,
            "Use padding='same', smaller kernels or fewer strides.",
        )
    return result


@op
def conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Any:
    """The convolution over one to three axes (the kernel is not flipped).

    In groups where the kernel takes fewer channels than there are.

    >>> from talweg import ops
    >>> ops.conv(ops.ones((1, 4, 1)), ops.ones((2, 1, 3))).shape
    (1, 3, 3)
    """
    channels = inputs.shape[-1 if layout(inputs.ndim - 2, data_format)[1] else 1]
    if channels % kernel.shape[-2]:
        raise errors.invalid(
            "conv",
            "the number of input channels",
            f"a multiple of the kernel's {kernel.shape[-2]}",
            channels,
        )
    groups = channels // kernel.shape[-2]
    padding = checked_padding(padding, "conv")
    return _convolved(inputs, kernel, strides, padding, data_format, dilation_rate, groups)


@op
def depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Any:
    """Each channel with kernels of its own; the kernel is (*spatial, channels, multiplier)."""
    channels = inputs.shape[-1 if layout(inputs.ndim - 2, data_format)[1] else 1]
    if channels != kernel.shape[-2]:
        raise errors.invalid(
            "depthwise_conv", "the number of input channels", f"{kernel.shape[-2]}", channels
        )
    kernel = kernel.reshape(*kernel.shape[:-2], 1, channels * kernel.shape[-1])
    padding = checked_padding(padding, "depthwise_conv")
    return _convolved(inputs, kernel, strides, padding, data_format, dilation_rate, channels)


@op
def separable_conv(
    inputs: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Any:
    """A depthwise convolution, then one that mixes the channels of each pixel."""
    inner = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(inner, pointwise_kernel, 1, "valid", data_format)


@op
def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Any:
    """The transpose of a convolution; the kernel is (*spatial, out, in).

    Args:
        output_padding: by how much the output is longer than the smallest possible; by
            default it is inputs × strides ("same"), or enough for every entry ("valid").

    >>> from talweg import ops
    >>> ops.conv_transpose(ops.ones((1, 4, 1)), ops.ones((3, 2, 1)), 2, "same").shape
    (1, 8, 2)
    """
    rank = inputs.ndim - 2
    mode = checked_padding(padding, "conv_transpose")
    strides, dilation = each(strides, rank), each(dilation_rate, rank)
    extra = (None,) * rank if output_padding is None else each(output_padding, rank)
    pads = [
        _transposed_padding((size - 1) * d + 1, s, mode, more)
        for size, s, d, more in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    return lax.conv_transpose(
        inputs,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=layout(rank, data_format)[0],
        transpose_kernel=True,
    )


def _transposed_padding(kernel: int, stride: int, mode: str, extra: int | None) -> tuple[int, int]:
    """What JAX must add on both sides of the dilated input for Keras's output size."""
    if mode == "VALID":
        extra = max(stride - kernel, 0) if extra is None else extra
        return kernel - 1, kernel - 1 + extra
    total = stride + kernel - 2 if extra is None else kernel + kernel % 2 - 2 + extra
    left = min(-(-total // 2), kernel - 1)
    return left, total - left


@op
def unfold(
    x: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Any:
    """The patches of (batch, channels, height, width) images, as columns."""
    rows, columns = each(padding, 2)
    patches = lax.conv_general_dilated_patches(
        x,
        filter_shape=each(kernel_size, 2),
        window_strides=each(stride, 2),
        padding=[(rows, rows), (columns, columns)],
        rhs_dilation=each(dilation, 2),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return patches.reshape(*patches.shape[:2], -1)


@op
def fold(
    x: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Any:
    """The sum of patches at their places: the transpose of `unfold`."""
    kernel = each(kernel_size, 2)
    image = (x.shape[0], x.shape[1] // math.prod(kernel), *each(output_size, 2))

    def unfolded(images: Any) -> Any:
        return unfold(images, kernel, dilation, padding, stride)

    return jax.linear_transpose(unfolded, jax.ShapeDtypeStruct(image, x.dtype))(x)[0]


@op
def depth_to_space(x: Tensor, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels laid out as blocks of pixels."""
    b = _positive_block("depth_to_space", block_size)
    if standardize_data_format(data_format) == "channels_last":
        n, h, w, c = x.shape
        blocks = x.reshape(n, h, w, b, b, c // b**2).transpose(0, 1, 3, 2, 4, 5)
        return blocks.reshape(n, h * b, w * b, c // b**2)
    n, c, h, w = x.shape
    blocks = x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // b**2, h * b, w * b)


@op
def space_to_depth(x: Tensor, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels laid out as channels."""
    b = _positive_block("space_to_depth", block_size)
    if standardize_data_format(data_format) == "channels_last":
        n, h, w, c = x.shape
        blocks = x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5)
        return blocks.reshape(n, h // b, w // b, c * b**2)
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(n, c * b**2, h // b, w // b)


def _positive_block(owner: str, block_size: int) -> int:
    if block_size < 1:
        raise errors.invalid(owner, "block_size", "a positive integer", block_size)
    return block_size
