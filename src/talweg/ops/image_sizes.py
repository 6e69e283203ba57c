"""Images of another size: resized, cropped, padded, cut into patches."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.ops.convolutions import Sizes, conv, each
from talweg.ops.core import saturate_cast
from talweg.ops.image_layout import checked_rank, one_of, spatial_axes
from talweg.ops.keras_tensor import Tensor, op

_INTERPOLATIONS = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")
_METHODS = (
    "linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3", "lanczos5",
)  # fmt: skip


@op
def resize(
    images: Tensor,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Images in another height and width, in their type: integers are rounded.

    Args:
        images: one or a batch.
        size: the height and width wanted.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        antialias: whether images that shrink are smoothed.
        crop_to_aspect_ratio: whether they are cropped in the middle before, in place of
            being distorted.
        pad_to_aspect_ratio: whether they are padded before; not both.
        fill_mode: only "constant".
        fill_value: of the padding.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an argument is none of these.

    >>> import numpy as np
    >>> resize(np.ones((2, 8, 6, 3)), (4, 5)).shape
    (2, 4, 5, 3)
    """
    checked_rank("resize", images)
    one_of("resize", "interpolation", interpolation, _INTERPOLATIONS)
    one_of("resize", "fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise errors.invalid("resize", "pad_to_aspect_ratio", "False where one crops", True)
    if len(size) != 2 or min(size) < 1:
        raise errors.invalid("resize", "size", "(height, width), at least 1 each", size)
    axes = spatial_axes(data_format)
    height, width = (images.shape[axis] for axis in axes)
    # The height that goes with the width in the target's shape, and the reverse.
    fitting = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    if crop_to_aspect_ratio:
        for axis, have, want in zip(axes, (height, width), fitting, strict=True):
            keep = max(min(have, want), 1)
            start = int((have - keep) / 2)
            images = jnp.take(images, jnp.arange(start, start + keep), axis)
    elif pad_to_aspect_ratio:
        for axis, have, want in zip(axes, (height, width), fitting, strict=True):
            margin = int(max(want - have, 0) / 2)
            widths = [(0, 0)] * images.ndim
            widths[axis] = (margin, margin)
            images = jnp.pad(images, widths, constant_values=fill_value)
    shape = list(images.shape)
    for axis, want in zip(axes, size, strict=True):
        shape[axis] = want
    resized = jax.image.resize(images, shape, interpolation, antialias=antialias)
    if resized.dtype == images.dtype:
        return resized
    return saturate_cast(jnp.round(resized), images.dtype)


@op
def crop_images(
    images: Tensor,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """A window of images; of top, bottom and target height give two, likewise across.

    Args:
        images: one or a batch.
        top_cropping: rows left out above.
        left_cropping: columns left out on the left.
        bottom_cropping: rows left out below.
        right_cropping: columns left out on the right.
        target_height: rows that stay.
        target_width: columns that stay.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: not exactly two are given, or the window is not within the images.

    >>> import numpy as np
    >>> crop_images(np.ones((8, 6, 3)), 1, 2, target_height=4, right_cropping=1).shape
    (4, 3, 3)
    """
    checked_rank("crop_images", images)
    spans = {
        "height": (top_cropping, target_height, bottom_cropping),
        "width": (left_cropping, target_width, right_cropping),
    }
    for axis, (name, span) in zip(spatial_axes(data_format), spans.items(), strict=True):
        size = images.shape[axis]
        before, kept, after = _third("crop_images", name, span, size)
        if min(before, kept, after) < 0:
            raise errors.invalid("crop_images", f"the {name}s", f"within {size}", span)
        images = jax.lax.slice_in_dim(images, before, before + kept, axis=axis)
    return images


@op
def pad_images(
    images: Tensor,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Images within zeros; of top, bottom and target height give two, likewise across.

    Args:
        images: one or a batch.
        top_padding: rows added above.
        left_padding: columns added on the left.
        bottom_padding: rows added below.
        right_padding: columns added on the right.
        target_height: rows of the result.
        target_width: columns of the result.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: not exactly two are given, or a padding is negative.

    >>> import numpy as np
    >>> pad_images(np.ones((8, 6, 3)), 1, 2, target_height=12, target_width=9).shape
    (12, 9, 3)
    """
    checked_rank("pad_images", images)
    spans = {
        "height": (top_padding, target_height, bottom_padding),
        "width": (left_padding, target_width, right_padding),
    }
    widths = [(0, 0)] * images.ndim
    for axis, (name, span) in zip(spatial_axes(data_format), spans.items(), strict=True):
        before, target, after = span
        size = images.shape[axis]
        # Seen from the result, the image is what is kept of it.
        whole = target if target is not None else size + (before or 0) + (after or 0)
        before, _, after = _third("pad_images", name, (before, target and size, after), whole)
        if min(before, after) < 0:
            raise errors.invalid("pad_images", f"the paddings of the {name}", "at least 0", span)
        widths[axis] = (before, after)
    return jnp.pad(images, widths)


def _third(owner: str, name: str, span: tuple[Any, Any, Any], size: int) -> list[int]:
    """Before, inside, after: from two of them the third, which fills up `size`."""
    if sum(part is None for part in span) != 1:
        names = "top, bottom and target height" if name == "height" else "left, right and target"
        raise errors.invalid(owner, names, "two of the three", span)
    known = sum(part for part in span if part is not None)
    return [size - known if part is None else part for part in span]


@op
def extract_patches(
    images: Tensor,
    size: Sizes,
    strides: Sizes | None = None,
    dilation_rate: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Windows of images, each flattened into the channels: rows, columns, channels.

    Args:
        images: one or a batch; volumes with a `size` of three.
        size: of a patch: (height, width), or one number.
        strides: from patch to patch; those of `size` where None.
        dilation_rate: the distance of the pixels of a patch.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> extract_patches(np.ones((2, 8, 6, 3)), 2).shape
    (2, 4, 3, 12)
    """
    rank = 2 if isinstance(size, int) else len(size)
    if rank not in (2, 3):
        raise errors.invalid("extract_patches", "size", "a number, or two or three", size)
    return _patches(rank, images, size, strides, dilation_rate, padding, data_format)


@op
def extract_patches_3d(
    volumes: Tensor,
    size: Sizes,
    strides: Sizes | None = None,
    dilation_rate: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Boxes of volumes, each flattened into the channels.

    Args:
        volumes: one (depth, height, width, channels) or a batch.
        size: of a patch: (depth, height, width), or one number.
        strides: from patch to patch; those of `size` where None.
        dilation_rate: the distance of the voxels of a patch.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> extract_patches_3d(np.ones((4, 8, 6, 1)), 2).shape
    (2, 4, 3, 8)
    """
    return _patches(3, volumes, size, strides, dilation_rate, padding, data_format)


def _patches(
    rank: int, images: Any, size: Sizes, strides: Any, rate: Sizes, padding: str, format: Any
) -> Any:
    sizes = each(size, rank)
    single = images.ndim == rank + 1
    channels = images.shape[-1 if spatial_axes(format) == (-3, -2) else -rank - 1]
    count = channels
    for length in sizes:
        count *= length
    kernel = jnp.eye(count, dtype=images.dtype).reshape(*sizes, channels, count)
    batch = images[None] if single else images
    patches = conv(batch, kernel, each(strides or size, rank), padding, format, rate)
    return patches[0] if single else patches


@op
def scale_and_translate(
    images: Tensor,
    output_shape: Sequence[int],
    scale: Tensor,
    translation: Tensor,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Any:
    """Arrays seen through output = input · `scale` + `translation`, axis by axis.

    Args:
        images: of any rank.
        output_shape: the whole shape of the result.
        scale: a factor for each of `spatial_dims`.
        translation: a shift for each, in pixels of the result.
        spatial_dims: the axes that change.
        method: "linear", "cubic", "lanczos3" or "lanczos5", and the names of the first
            two for two and three axes ("bilinear", "tricubic", …).
        antialias: whether what shrinks is smoothed.

    Raises:
        ValueError: the method is none of these.

    >>> import numpy as np
    >>> scale_and_translate(np.ones((4, 4)), (8, 8), [2.0, 2.0], [0.0, 0.0], (0, 1), "linear").shape
    (8, 8)
    """
    one_of("scale_and_translate", "method", method, _METHODS)
    return jax.image.scale_and_translate(
        images, tuple(output_shape), tuple(spatial_dims), scale, translation, method, antialias
    )
