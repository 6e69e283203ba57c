"""Images of another size: resized or cropped, in training and in inference."""

from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.layers.arguments import choice, fields, integer
from talweg.layers.image import (
    INTERPOLATIONS,
    SizedImageLayer,
    aspect_box,
    resized,
    spatial_axes,
    window,
)


class Resizing(SizedImageLayer):
    """Images of any size in one size; integer images stay integers, rounded.

    Args:
        height: rows of the output.
        width: columns of the output.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: whether the image is cropped first, in place of distorted.
        pad_to_aspect_ratio: whether it is padded first; not both.
        fill_mode: only "constant".
        fill_value: the value of the padding.
        antialias: whether the image is smoothed where it shrinks.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an argument is out of range.

    >>> import numpy as np
    >>> Resizing(4, 5)(np.ones((2, 8, 8, 3))).shape
    (2, 4, 5, 3)
    """

    always = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format, **kwargs)
        self.height = integer("Resizing", "height", height)
        self.width = integer("Resizing", "width", width)
        self.interpolation = choice("Resizing", "interpolation", interpolation, INTERPOLATIONS)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise errors.invalid(
                "Resizing", "crop_to_aspect_ratio", "False with pad_to_aspect_ratio", True
            )
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = choice("Resizing", "fill_mode", fill_mode, ("constant",))
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def converted(self, images: Any) -> Any:
        return images

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        dtype, target = images.dtype, (self.height, self.width)
        integral = jnp.issubdtype(dtype, jnp.integer)
        if self.crop_to_aspect_ratio:
            box = aspect_box(self.sizes(images.shape), target)
            images = window(images, self.data_format, *box)
        elif self.pad_to_aspect_ratio:
            images = self._padded(images.astype(self.compute_dtype) if integral else images)
        images = resized(images, target, self.data_format, interpolation, self.antialias)
        if integral and images.dtype != dtype:
            limits = jnp.iinfo(dtype)
            images = jnp.clip(jnp.round(images), limits.min, limits.max)
        return images.astype(dtype)

    def _padded(self, images: Any) -> Any:
        height, width = self.sizes(images.shape)
        rows = (max(height, int(width * self.height / self.width)) - height) // 2
        columns = (max(width, int(height * self.width / self.height)) - width) // 2
        around = [(0, 0)] * images.ndim
        for axis, count in zip(spatial_axes(self.data_format), (rows, columns), strict=True):
            around[axis] = (count, count)
        return jnp.pad(images, around, constant_values=self.fill_value)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(
                self,
                "height",
                "width",
                "interpolation",
                "crop_to_aspect_ratio",
                "pad_to_aspect_ratio",
                "fill_mode",
                "fill_value",
                "antialias",
            ),
        }


class CenterCrop(SizedImageLayer):
    """The middle of images; images that are smaller are resized, then cropped.

    Args:
        height: rows of the output.
        width: columns of the output.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> CenterCrop(2, 2)(np.arange(16.0).reshape(4, 4, 1))[..., 0].tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    """

    always = True

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.height = integer("CenterCrop", "height", height)
        self.width = integer("CenterCrop", "width", width)

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        size, target = self.sizes(images.shape), (self.height, self.width)
        rows, columns = size[0] - self.height, size[1] - self.width
        if rows >= 0 and columns >= 0:
            return window(images, self.data_format, rows // 2, columns // 2, *target)
        images = window(images, self.data_format, *aspect_box(size, target))
        return resized(images, target, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "height", "width")}
