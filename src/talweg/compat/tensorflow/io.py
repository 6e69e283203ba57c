"""`tf.io`: files, and pictures in them, for `Dataset.map`."""

import io as _io
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core.errors import extra, invalid
from talweg.data.elements import HostTensor, worn

__all__ = ["decode_image", "decode_jpeg", "decode_png", "read_file"]

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def read_file(filename: Any, name: Any = None) -> Any:
    """The content of a file, as a tensor of bytes."""
    # In a box: an array of bytes would drop the zeros at their end.
    box = np.empty((), object)
    box[()] = Path(_text(filename)).read_bytes()
    return box.view(HostTensor)


def decode_image(
    contents: Any, channels: int | None = 0, dtype: Any = "uint8", name: Any = None,
    expand_animations: bool = True,
) -> Any:  # fmt: skip
    """The picture (height, width, channels) in the content of a PNG or JPEG file.

    Args:
        contents: bytes, as `read_file` gives them.
        channels: 1 for grey, 3 for colours, 4 with transparency; 0 or None as in the file.
        dtype: "uint8"; another one by `convert_image_dtype`, and "uint16" as a PNG may have it.
        expand_animations: accepted as TensorFlow does; of an animation the first picture comes.

    Raises:
        ValueError: another number of channels, or what is no picture.
        MissingExtraError: Pillow is not installed; `pip install "talweg[media]"`.
    """
    from talweg.compat.tensorflow.image import convert_image_dtype  # which exports this module's

    pillow = extra("PIL.Image", "media", "tf.io.decode_image")
    given = np.asarray(contents)[()]
    if not isinstance(given, bytes):
        raise invalid("decode_image", "contents", "the bytes of a file", given)
    if channels not in (None, 0, *_MODES):
        raise invalid("decode_image", "channels", "0, 1, 2, 3 or 4", channels)
    try:
        picture = pillow.open(_io.BytesIO(given))
        picture.load()
    except (OSError, SyntaxError) as error:
        raise invalid(
            "decode_image", "contents", "a picture", given[:20], f"Pillow says: {error}"
        ) from error
    if picture.mode.startswith("I"):  # grey values of 16 bits
        pixels = np.asarray(picture).astype(np.uint16)[..., None]
        pixels = np.repeat(pixels, channels or 1, -1)
        return convert_image_dtype(pixels, dtype)
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    mode = _MODES[channels] if channels else picture.mode
    if picture.mode != mode or mode not in _MODES.values():
        picture = picture.convert(mode if mode in _MODES.values() else "L")
    pixels = np.asarray(picture)
    return convert_image_dtype(worn(pixels if pixels.ndim == 3 else pixels[..., None]), dtype)


def decode_png(contents: Any, channels: int = 0, dtype: Any = "uint8", name: Any = None) -> Any:
    """The picture in the content of a PNG file; see `decode_image`."""
    return decode_image(contents, channels, dtype)


def decode_jpeg(contents: Any, channels: int = 0, **_of_tensorflow: Any) -> Any:
    """The picture in the content of a JPEG file; see `decode_image`.

    Its numbers may be a few steps of 255 from TensorFlow's, which rounds otherwise.
    """
    return decode_image(contents, channels)


def _text(value: Any) -> str:
    item = np.asarray(value)[()]
    return item.decode() if isinstance(item, bytes) else str(item)
