"""`tf.image`: pictures on the host in `Dataset.map`, and as JAX arrays inside models.

Arrays are (height, width, channels), or a batch of them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.compat.tensorflow._draws import drawn
from talweg.compat.tensorflow.io import decode_image, decode_jpeg, decode_png
from talweg.core.dtypes import standardize_dtype
from talweg.core.errors import invalid, unknown
from talweg.data import pictures
from talweg.data.elements import worn
from talweg.ops.keras_tensor import op

__all__ = [
    "adjust_brightness", "adjust_contrast", "central_crop", "convert_image_dtype", "decode_image",
    "decode_jpeg", "decode_png", "flip_left_right", "flip_up_down", "grayscale_to_rgb",
    "per_image_standardization", "random_brightness", "random_contrast", "random_crop",
    "random_flip_left_right", "random_flip_up_down", "resize", "resize_with_crop_or_pad",
    "resize_with_pad", "rgb_to_grayscale", "rot90",
]  # fmt: skip

_GREY = np.array([0.2989, 0.5870, 0.1140], np.float32)


def _of(image: Any, owner: str) -> tuple[Any, Any]:
    """The array, and the library that computes with it: NumPy on the host.

    Raises:
        ValueError: it is no picture and no batch of them.
    """
    xp: Any = jnp if isinstance(image, jax.Array) else np
    array = xp.asarray(image)
    if array.ndim not in (3, 4):
        raise invalid(
            owner, "the image", "of shape (height, width, channels), or a batch", array.shape
        )
    return array, xp


@op
def resize(
    images: Any, size: Any, method: str = "bilinear", preserve_aspect_ratio: bool = False,
    antialias: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Images in another height and width, as float32; "nearest" keeps their type.

    Args:
        images: one or a batch.
        size: (height, width).
        method: "bilinear", "nearest", "area", "bicubic", "mitchellcubic", "lanczos3", "lanczos5"
            or "gaussian".
        preserve_aspect_ratio: whether `size` is the most, and images are not distorted.
        antialias: whether images that shrink are smoothed.

    Raises:
        ValueError: another method.

    >>> resize(np.ones((8, 6, 3)), (4, 5)).shape
    (4, 5, 3)
    """
    images, xp = _of(images, "resize")
    if method not in pictures.METHODS:
        raise unknown("method of resize", method, pictures.METHODS)
    wanted = [int(part) for part in np.asarray(size).tolist()]
    have = images.shape[-3:-1]
    if preserve_aspect_ratio:
        scale = min(w / h for w, h in zip(wanted, have, strict=True))
        wanted = [max(round(scale * h), 1) for h in have]
    if method != "nearest":
        images = images.astype("float32")
    for axis, count, target in zip((-3, -2), have, wanted, strict=True):
        if count == target:
            continue
        if method == "nearest":
            place = np.floor((np.arange(target) + 0.5) * (count / target)).astype(int)
            images = xp.take(images, np.minimum(place, count - 1), axis)
            continue
        # TensorFlow looks its cubic kernel up in a table.
        places = 1024 if method == "bicubic" and not antialias else None
        weights = pictures.weights(count, target, method, antialias, places)
        summed = xp.tensordot(weights, images, (1, axis % images.ndim))
        images = xp.moveaxis(summed, 0, axis)
    return worn(images)


@op
def resize_with_pad(
    image: Any, target_height: int, target_width: int, method: str = "bilinear",
    antialias: bool = False,
) -> Any:  # fmt: skip
    """Resized without distortion, with zeros at both sides."""
    image, _ = _of(image, "resize_with_pad")
    height, width = np.float32(image.shape[-3:-1])
    target = np.float32([target_height, target_width])
    fitting = np.float32([height, width]) / max(width / target[1], height / target[0])
    resized = resize(image, np.maximum(np.floor(fitting), 1).astype(int), method, False, antialias)
    before = np.maximum(np.floor((target - fitting) / 2), 0).astype(int)
    return _padded(resized, before, (target_height, target_width))


@op
def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Any:
    """Cut in the middle, or with zeros at both sides."""
    image, _ = _of(image, "resize_with_crop_or_pad")
    target = np.array([target_height, target_width])
    spare = np.array(image.shape[-3:-1]) - target
    top, left = np.maximum(spare // 2, 0)
    image = image[..., top : top + target_height, left : left + target_width, :]
    return _padded(image, np.maximum(-spare // 2, 0), (target_height, target_width))


def _padded(image: Any, before: Any, target: Any) -> Any:
    """With zeros up to the target's size, so many of them before the image."""
    _, xp = _of(image, "pad")
    after = [t - b - have for t, b, have in zip(target, before, image.shape[-3:-1], strict=True)]
    widths = [(0, 0)] * (image.ndim - 3) + [*zip(map(int, before), after, strict=True), (0, 0)]
    return worn(xp.pad(image, widths))


@op
def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle, this part of each side.

    Raises:
        ValueError: the fraction is not in (0, 1].
    """
    image, _ = _of(image, "central_crop")
    if not 0 < central_fraction <= 1:
        raise invalid("central_crop", "central_fraction", "in (0, 1]", central_fraction)
    top, left = (int((size - size * central_fraction) / 2) for size in image.shape[-3:-1])
    height, width = image.shape[-3] - 2 * top, image.shape[-2] - 2 * left
    return worn(image[..., top : top + height, left : left + width, :])


@op
def flip_left_right(image: Any) -> Any:
    """Mirrored from left to right."""
    return worn(_of(image, "flip_left_right")[0][..., ::-1, :])


@op
def flip_up_down(image: Any) -> Any:
    """Mirrored from top to bottom."""
    return worn(_of(image, "flip_up_down")[0][..., ::-1, :, :])


@op
def rot90(image: Any, k: int = 1, name: Any = None) -> Any:
    """Turned `k` times by 90°, against the clock."""
    image, xp = _of(image, "rot90")
    return worn(xp.rot90(image, k, (-3, -2)))


@op
def rgb_to_grayscale(images: Any, name: Any = None) -> Any:
    """Grey values of one channel, in the images' type."""
    images, _ = _of(images, "rgb_to_grayscale")
    grey = _floats(images) @ _GREY
    return convert_image_dtype(grey[..., None], images.dtype)


@op
def grayscale_to_rgb(images: Any, name: Any = None) -> Any:
    """The one channel three times."""
    images, xp = _of(images, "grayscale_to_rgb")
    return worn(xp.repeat(images, 3, -1))


@op
def adjust_brightness(image: Any, delta: float) -> Any:
    """With `delta` added, where integers count as parts of their largest."""
    image, _ = _of(image, "adjust_brightness")
    return convert_image_dtype(_floats(image) + np.float32(delta), image.dtype, saturate=True)


@op
def adjust_contrast(images: Any, contrast_factor: float) -> Any:
    """The distance to the mean of each channel multiplied."""
    images, _ = _of(images, "adjust_contrast")
    floats = _floats(images)
    mean = floats.mean((-3, -2), keepdims=True)
    return convert_image_dtype(
        (floats - mean) * np.float32(contrast_factor) + mean, images.dtype, saturate=True
    )


@op
def per_image_standardization(image: Any) -> Any:
    """Each image with mean 0 and variance 1, as float32."""
    image, xp = _of(image, "per_image_standardization")
    image = image.astype("float32")
    axes = (-3, -2, -1)
    spread = image.std(axes, keepdims=True)
    least = np.float32(1 / np.sqrt(np.prod(image.shape[-3:])))
    return worn((image - image.mean(axes, keepdims=True)) / xp.maximum(spread, least))


@op
def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: Any = None) -> Any:
    """In another type and its range: floats from 0 to 1, integers up to their largest.

    Args:
        image: any array.
        dtype: the type wanted.
        saturate: whether what is out of range becomes the end of it.

    >>> convert_image_dtype(np.uint8([0, 255]), "float32").tolist()
    [0.0, 1.0]
    """
    image = image if isinstance(image, jax.Array) else np.asarray(image)
    wanted = np.dtype(standardize_dtype(dtype))
    given = np.dtype(image.dtype)
    if given == wanted:
        return worn(image)
    if given.kind == "f":
        if wanted.kind == "f":
            return worn(image.astype(wanted))
        return _cast(image * (np.iinfo(wanted).max + given.type(0.5)), wanted, saturate)
    largest = np.iinfo(given).max
    if wanted.kind == "f":
        return worn(image.astype(wanted) * wanted.type(1 / largest))
    if largest > np.iinfo(wanted).max:
        return _cast(image // ((largest + 1) // (np.iinfo(wanted).max + 1)), wanted, saturate)
    return worn(
        _cast(image, wanted, saturate) * wanted.type((np.iinfo(wanted).max + 1) // (largest + 1))
    )


def _cast(image: Any, wanted: np.dtype, saturate: bool) -> Any:
    xp: Any = jnp if isinstance(image, jax.Array) else np
    if saturate:
        ends = np.iinfo(wanted)
        image = xp.clip(image, ends.min, ends.max)
    with np.errstate(invalid="ignore"):  # what is out of range wraps, as in TensorFlow
        return worn(image.astype(wanted))


def _floats(image: Any) -> Any:
    return convert_image_dtype(image, image.dtype if image.dtype.kind == "f" else "float32")


# -- at random ----------------------------------------------------------------------------


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored, each image with probability 1/2.

    Raises:
        RuntimeError: inside a layer, where every step would repeat the same draws.
    """
    return _flipped(image, -2, "random_flip_left_right", seed)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Mirrored from top to bottom, each image with probability 1/2."""
    return _flipped(image, -3, "random_flip_up_down", seed)


def _flipped(image: Any, axis: int, owner: str, seed: Any) -> Any:
    image, xp = _of(image, owner)
    tossed = drawn(f"image.{owner}", seed).random(image.shape[:-3]) < 0.5
    return worn(xp.where(tossed[..., None, None, None], xp.flip(image, axis), image))


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """`adjust_brightness` by a draw from [-max_delta, max_delta)."""
    delta = drawn("image.random_brightness", seed).uniform(-max_delta, max_delta)
    return adjust_brightness(image, delta)


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """`adjust_contrast` by a draw from [lower, upper)."""
    return adjust_contrast(image, drawn("image.random_contrast", seed).uniform(lower, upper))


def random_crop(value: Any, size: Any, seed: Any = None, name: Any = None) -> Any:
    """A part of this size, all axes counted, at a place that is drawn.

    Raises:
        ValueError: the part would be larger than the whole.
    """
    value = value if isinstance(value, jax.Array) else np.asarray(value)
    size = tuple(int(part) for part in size)
    spare = np.subtract(value.shape, size)
    if (spare < 0).any():
        raise invalid("random_crop", "size", f"within {value.shape}", size)
    begin = drawn("image.random_crop", seed).integers(0, spare + 1)
    return worn(value[tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))])
