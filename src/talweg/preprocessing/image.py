"""Keras's `preprocessing.image`: pictures as arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.data.pictures import array_to_img, img_to_array, load_img, save_img
from talweg.ops.image import resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]


def smart_resize(
    x: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> Any:
    """Images in another size: the largest part in the middle with its shape, resized.

    Args:
        x: an image or a batch.
        size: the height and width wanted.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        data_format: "channels_last" or "channels_first".
        kwargs: `backend_module`, which is without effect: there is one backend.

    Returns:
        A NumPy array of a NumPy array, else a JAX array.

    >>> smart_resize(np.ones((34, 50, 3)), (20, 20)).shape
    (20, 20, 3)
    """
    unknown = set(kwargs) - {"backend_module"}
    if unknown:
        raise errors.unknown("argument of smart_resize", unknown.pop(), ["backend_module"])
    resized = resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return np.array(resized) if isinstance(x, np.ndarray) else resized
