"""Pictures as arrays and back, through Pillow."""

import io
import os
import warnings
from typing import Any

import numpy as np

from talweg.core import config, errors

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow(purpose: str) -> Any:
    return errors.extra("PIL.Image", "media", purpose)


def _channels_first(owner: str, data_format: str | None) -> bool:
    name = data_format or config.image_data_format()
    if name not in ("channels_first", "channels_last"):
        raise errors.invalid(owner, "data_format", "'channels_last' or 'channels_first'", name)
    return name == "channels_first"


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """A picture of Pillow from an array (height, width, channels).

    Args:
        x: the array, with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first".
        scale: whether the least value becomes 0 and the largest 255.
        dtype: what is computed in; `floatx()`.

    Raises:
        ValueError: another rank or number of channels.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow("array_to_img")
    array = np.asarray(x, dtype=dtype or config.floatx())
    if array.ndim != 3:
        raise errors.invalid("array_to_img", "x", "of rank 3", array.shape)
    if _channels_first("array_to_img", data_format):
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4):
        raise errors.invalid("array_to_img", "the number of channels", "1, 3 or 4", array.shape[2])
    if scale:
        array = array - array.min()
        array = array / (array.max() or 1) * 255
    if array.shape[2] > 1:
        return pillow.fromarray(array.astype("uint8"))
    kind = "int32" if array.max() > 255 else "uint8"
    return pillow.fromarray(array[:, :, 0].astype(kind))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """An array (height, width, channels) from a picture.

    Args:
        img: a picture of Pillow, or an array of rank 2 or 3.
        data_format: "channels_last" or "channels_first".
        dtype: of the result; `floatx()`.
    """
    array = np.asarray(img, dtype=dtype or config.floatx())
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise errors.invalid("img_to_array", "img", "of rank 2 or 3", array.shape)
    first = _channels_first("img_to_array", data_format)
    return array.transpose(2, 0, 1) if first else array


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture.

    Args:
        path: a path or an open file.
        x: the array.
        data_format: "channels_last" or "channels_first".
        file_format: for example "png"; that of the path where None.
        scale: whether values are stretched to 0 … 255.
        kwargs: for Pillow's `save`.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:].lower()
    if file_format and file_format.lower() == "jpg":
        file_format = "jpeg"
    picture = array_to_img(x, data_format, scale)
    if picture.mode == "RGBA" and file_format == "jpeg":
        warnings.warn(
            "save_img: JPEG has no transparency; the picture is saved as RGB.", stacklevel=2
        )
        picture = picture.convert("RGB")
    picture.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A picture of Pillow from a file.

    Args:
        path: a path or a BytesIO.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width), or None to keep the size.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: whether the picture is cropped at its centre before.

    Raises:
        ValueError: an option is unknown.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow("load_img")
    if color_mode not in _MODES:
        raise errors.invalid("load_img", "color_mode", " or ".join(map(repr, _MODES)), color_mode)
    if not isinstance(path, (io.BytesIO, str, bytes, os.PathLike)):
        raise errors.wrong_type("load_img", "path", "a path or a BytesIO", path)
    with pillow.open(path) as opened:
        keeps = color_mode == "grayscale" and opened.mode in ("L", "I;16", "I")
        picture = opened.copy() if keeps else opened.convert(_MODES[color_mode])
    if target_size is None:
        return picture
    height, width = target_size
    if interpolation not in _METHODS:
        expected = " or ".join(map(repr, _METHODS))
        raise errors.invalid("load_img", "interpolation", expected, interpolation)
    if picture.size == (width, height):
        return picture
    method = getattr(pillow.Resampling, interpolation.upper())
    box = _centre(*picture.size, width, height) if keep_aspect_ratio else None
    return picture.resize((width, height), method, box=box)


def _centre(width: int, height: int, wanted_width: int, wanted_height: int) -> Any:
    """The largest box in the centre with the sides' wanted ratio."""
    cut_height = min(height, width * wanted_height // wanted_width)
    cut_width = min(width, height * wanted_width // wanted_height)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return left, top, left + cut_width, top + cut_height


def _cubic(x: np.ndarray, b: float, c: float) -> np.ndarray:
    """Mitchell and Netravali's kernel: (0, 1/2) is Keys's, (1/3, 1/3) their own."""
    near = ((12 - 9 * b - 6 * c) * x + (12 * b + 6 * c - 18)) * x**2 + (6 - 2 * b)
    far = (((-b - 6 * c) * x + (6 * b + 30 * c)) * x - (12 * b + 48 * c)) * x + (8 * b + 24 * c)
    return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6


def _lanczos(x: np.ndarray, radius: int) -> np.ndarray:
    return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


# What a pixel counts by its distance, in pixels of the image that is read.
_KERNELS = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "bicubic": lambda x: _cubic(x, 0, 0.5),
    "mitchellcubic": lambda x: _cubic(x, 1 / 3, 1 / 3),
    "lanczos3": lambda x: _lanczos(x, 3),
    "lanczos5": lambda x: _lanczos(x, 5),
    "gaussian": lambda x: np.where(x < 1.5, np.exp(-2 * x**2), 0),
}
METHODS = ("nearest", "area", *_KERNELS)


def weights(
    have: int, wanted: int, method: str, smooth: bool = False, places: int | None = None
) -> np.ndarray:
    """What each of `have` pixels counts in each of `wanted`: (wanted, have), as float32.

    Args:
        have, wanted: how many there are, and are to be.
        method: as of `resized`, but for "nearest".
        smooth: whether an image that shrinks is smoothed, but by "area", which does so anyway.
        places: of how many places in a pixel one is the nearest; all are told apart where None.
    """
    if method == "area":
        edges = np.arange(wanted + 1)[:, None] * (have / wanted)
        covered = np.clip(edges - np.arange(have), 0, 1)
        counts = covered[1:] - covered[:-1]
    else:
        place = (np.arange(wanted) + 0.5) * (have / wanted) - 0.5
        if places:
            place = np.rint(place * places) / places
        reach = max(have / wanted, 1) if smooth else 1
        counts = _KERNELS[method](np.abs(place[:, None] - np.arange(have)) / reach)
    return (counts / counts.sum(1, keepdims=True)).astype(np.float32)


def resized(image: np.ndarray, size: tuple[int, int], method: str = "bilinear") -> np.ndarray:
    """An array (height, width, channels) at another size, without smoothing, as float32.

    The centres of pixels are at halves, as in tf.image.resize.

    Args:
        image: the array.
        size: (height, width).
        method: "bilinear", "nearest", "area", "bicubic", "mitchellcubic", "lanczos3", "lanczos5"
            or "gaussian".
    """
    image = image.astype(np.float32)
    for axis, wanted in enumerate(size):
        have = image.shape[axis]
        if method not in ("bilinear", "nearest"):
            summed = np.tensordot(weights(have, wanted, method), image, (1, axis))
            image = np.moveaxis(summed, 0, axis)
            continue
        place = (np.arange(wanted) + 0.5) * (have / wanted)
        if method == "nearest":
            image = image.take(np.minimum(np.floor(place), have - 1).astype(int), axis)
            continue
        low = np.floor(place - 0.5)
        share = (place - 0.5 - low).astype(np.float32)
        share = share.reshape([-1 if i == axis else 1 for i in range(image.ndim)])
        below = image.take(np.clip(low, 0, have - 1).astype(int), axis)
        above = image.take(np.clip(low + 1, 0, have - 1).astype(int), axis)
        image = below + (above - below) * share
    return image
