"""What layers on images share: batches and single images, dicts, resizing.

An image layer takes images of shape (batch, height, width, channels) or one image without
the batch axis, or a dict of "images" with "labels" and "segmentation_masks", which follow.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.layers.arguments import fields
from talweg.layers.base import Layer

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class ImageLayer(Layer):
    """Base of layers on images; a subclass defines `draw` and `transform`.

    Args:
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        bounding_box_format: kept in the config; bounding boxes are refused.
    """

    # Whether the layer also acts in inference, and whether masks follow the images.
    always: ClassVar[bool] = False
    moves_pixels: ClassVar[bool] = True

    def __init__(
        self, data_format: str | None = None, bounding_box_format: Any = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format)
        self._build_at_init()

    def draw(self, images: Any) -> Any:
        """What is random about this call."""
        return None

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        """The batch of images, changed."""
        raise NotImplementedError

    def converted(self, images: Any) -> Any:
        """Images in the type that the layer computes in."""
        return images.astype(self.compute_dtype)

    def call(self, data: Any, training: bool = True) -> Any:
        parts = data if isinstance(data, dict) else {"images": data}
        if "bounding_boxes" in parts:
            raise errors.invalid(
                type(self).__name__, "the input", "images, labels and segmentation_masks",
                sorted(parts), "talweg does not move bounding boxes.",
            )  # fmt: skip
        images = self.converted(jnp.asarray(parts["images"]))
        if images.ndim not in (3, 4):
            raise errors.invalid(
                f"Layer {self.name!r}", "the input", "an image (rank 3) or a batch (rank 4)",
                images.shape,
            )  # fmt: skip
        changed = dict(parts, images=images)
        if training or self.always:
            single = images.ndim == 3
            drawn = self.draw(images[None] if single else images)
            names = ["images", "segmentation_masks"] if self.moves_pixels else ["images"]
            for name in names:
                if name not in parts:
                    continue
                batch = jnp.asarray(changed[name])
                method = getattr(self, "interpolation", "bilinear")
                method = method if name == "images" else "nearest"
                batch = self.transform(batch[None] if single else batch, drawn, method)
                changed[name] = batch[0] if single else batch
        return changed if isinstance(data, dict) else changed["images"]

    def sizes(self, shape: Any) -> tuple[Any, Any]:
        """Height and width."""
        height, width = spatial_axes(self.data_format)
        return shape[height], shape[width]

    def image_shape(self, shape: Any) -> Any:
        """The shape of the output for images of `shape`."""
        return tuple(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, dict):
            return self.image_shape(input_shape)
        moved = ("images", "segmentation_masks") if self.moves_pixels else ("images",)
        return {
            name: self.image_shape(shape) if name in moved else tuple(shape)
            for name, shape in input_shape.items()
        }

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **fields(self, "data_format")}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config


class SizedImageLayer(ImageLayer):
    """Base of image layers whose output has `height` and `width`."""

    height: int
    width: int

    def image_shape(self, shape: Any) -> Any:
        sizes = list(shape)
        for axis, size in zip(
            spatial_axes(self.data_format), (self.height, self.width), strict=True
        ):
            sizes[axis] = size
        return tuple(sizes)


def spatial_axes(data_format: str) -> tuple[int, int]:
    """The axes of height and width, from the end."""
    return (-3, -2) if data_format == "channels_last" else (-2, -1)


def window(images: Any, data_format: str, top: int, left: int, height: int, width: int) -> Any:
    """The part of images from (top, left) on, at most height × width."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    tail = (rows, columns, slice(None)) if data_format == "channels_last" else (rows, columns)
    return images[..., *tail]


def aspect_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred window with the shape of `target`: top, left, height, width."""
    (height, width), (rows, columns) = size, target
    inner_height = max(min(height, int(width * rows / columns)), 1)
    inner_width = max(min(width, int(height * columns / rows)), 1)
    return (
        int((height - inner_height) / 2),
        int((width - inner_width) / 2),
        inner_height,
        inner_width,
    )


def resized(
    images: Any,
    target: tuple[int, int],
    data_format: str,
    interpolation: str = "bilinear",
    antialias: bool = False,
) -> Any:
    """Images in another height and width."""
    shape = list(images.shape)
    for axis, size in zip(spatial_axes(data_format), target, strict=True):
        shape[axis] = size
    return jax.image.resize(images, shape, interpolation, antialias=antialias)
