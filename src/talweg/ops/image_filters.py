"""Colours, edges and blur of images, and how alike two of them are."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.ops.convolutions import depthwise_conv
from talweg.ops.image_layout import as_batch, checked_rank
from talweg.ops.keras_tensor import Tensor, op


def _channel_axis(data_format: str | None) -> int:
    return -1 if standardize_data_format(data_format) == "channels_last" else -3


def _planes(owner: str, images: Any, data_format: str | None) -> tuple[Any, Any, Any]:
    """The three channels of floating images."""
    checked_rank(owner, images)
    axis = _channel_axis(data_format)
    if images.shape[axis] != 3:
        raise errors.invalid(owner, "the number of channels", "3", images.shape[axis])
    if not jnp.issubdtype(images.dtype, jnp.floating):
        remedy = "Divide by 255 first."
        raise errors.invalid(owner, "the type of images", "floating", str(images.dtype), remedy)
    one, two, three = jnp.moveaxis(images, axis, 0)
    return one, two, three


@op
def rgb_to_grayscale(images: Tensor, data_format: str | None = None) -> Any:
    """0.2989 R + 0.5870 G + 0.1140 B, in the images' type; grey images stay.

    Args:
        images: one or a batch, of 1 or 3 channels.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> rgb_to_grayscale(np.full((2, 2, 3), 255, np.uint8))[0, 0].tolist()
    [254]
    """
    checked_rank("rgb_to_grayscale", images)
    axis = _channel_axis(data_format)
    if images.shape[axis] == 1:
        return images
    if images.shape[axis] != 3:
        raise errors.invalid("rgb_to_grayscale", "the channels", "1 or 3", images.shape[axis])
    real = images if jnp.issubdtype(images.dtype, jnp.floating) else images.astype("float32")
    weights = jnp.array([0.2989, 0.5870, 0.1140], real.dtype)
    grey = jnp.tensordot(real, weights, ((axis,), (0,)))
    return jnp.expand_dims(grey, axis).astype(images.dtype)


@op
def rgb_to_hsv(images: Tensor, data_format: str | None = None) -> Any:
    """Hue, saturation and value of images with values in [0, 1].

    Args:
        images: one or a batch, floating.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> rgb_to_hsv([[[0.0, 1.0, 0.0]]]).round(3).tolist()
    [[[0.3330000042915344, 1.0, 1.0]]]
    """
    tiny = jnp.finfo(images.dtype).eps if jnp.issubdtype(images.dtype, jnp.floating) else 0
    images = jnp.where(jnp.abs(images) < tiny, 0, images)
    red, green, blue = _planes("rgb_to_hsv", images, data_format)
    value = jnp.maximum(jnp.maximum(red, green), blue)
    spread = value - jnp.minimum(jnp.minimum(red, green), blue)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    sixth = 1 / (6 * jnp.where(spread > 0, spread, 1))
    hue = jnp.where(value == green, sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6)
    hue = jnp.where(value == red, sixth * (green - blue), hue)
    hue = jnp.where(spread > 0, hue, 0) + (hue < 0)
    return jnp.stack([hue, saturation, value], _channel_axis(data_format)).astype(images.dtype)


@op
def hsv_to_rgb(images: Tensor, data_format: str | None = None) -> Any:
    """The inverse of `rgb_to_hsv`.

    >>> hsv_to_rgb([[[0.0, 1.0, 0.5]]]).tolist()
    [[[0.5, 0.0, 0.0]]]
    """
    hue, saturation, value = _planes("hsv_to_rgb", images, data_format)
    sector = jnp.mod(hue, 1) * 6
    shares = (
        jnp.clip(jnp.abs(sector - 3) - 1, 0, 1),
        jnp.clip(2 - jnp.abs(sector - 2), 0, 1),
        jnp.clip(2 - jnp.abs(sector - 4), 0, 1),
    )
    planes = [value * (1 - saturation + saturation * share) for share in shares]
    return jnp.stack(planes, _channel_axis(data_format)).astype(images.dtype)


def _bell(size: int, sigma: Any, dtype: Any) -> Any:
    """A Gauss curve of `size` points that adds up to 1."""
    x = jnp.arange(size, dtype=dtype) - jnp.asarray((size - 1) / 2, dtype)
    curve = jnp.exp(-0.5 * (x / sigma) ** 2)
    return curve / jnp.sum(curve)


def _filtered(batch: Any, kernel: Any, padding: str) -> Any:
    """Every channel of (N, H, W, C) under the same kernel (H, W)."""
    kernels = jnp.broadcast_to(kernel[:, :, None, None], (*kernel.shape, batch.shape[-1], 1))
    return depthwise_conv(batch, kernels, 1, padding, "channels_last")


@op
def gaussian_blur(
    images: Tensor,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Any:
    """Images under a Gaussian filter, zeros beyond their edges.

    Args:
        images: one or a batch, floating.
        kernel_size: the width and height of the filter.
        sigma: its standard deviations in pixels.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> blurred = gaussian_blur(np.ones((5, 5, 1), np.float32))
    >>> round(float(blurred[2, 2, 0]), 5), float(blurred[0, 0, 0]) < 1
    (1.0, True)
    """
    batch, back = as_batch("gaussian_blur", images, data_format)
    sigma = jnp.asarray(sigma, batch.dtype)
    across, down = (_bell(kernel_size[i], sigma[i], batch.dtype) for i in (0, 1))
    return back(_filtered(batch, jnp.outer(down, across), "same"))


@op
def sobel_edges(images: Tensor, data_format: str | None = None) -> Any:
    """How fast images change down and across, as a new last axis of two.

    Args:
        images: a batch.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> ramp = np.tile(np.arange(5.0, dtype="float32"), (5, 1))[None, :, :, None]
    >>> sobel_edges(ramp)[0, 2, 2, 0].tolist()
    [0.0, 8.0]
    """
    if images.ndim != 4:
        raise errors.invalid("sobel_edges", "images", "of rank 4 (a batch)", tuple(images.shape))
    batch, back = as_batch("sobel_edges", images, data_format)
    across = jnp.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], batch.dtype)
    edges = [back(_filtered(batch, kernel, "same")) for kernel in (across.T, across)]
    return jnp.stack(edges, -1)


@op
def ssim(
    image1: Tensor,
    image2: Tensor,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Any:
    """Structural similarity of images, one number each: 1 for equal ones.

    The mean over windows of (2μ₁μ₂ + c₁)(2σ₁₂ + c₂) / ((μ₁² + μ₂² + c₁)(σ₁² + σ₂² + c₂)) with
    c = (k · max_val)². Wang et al., IEEE TIP 13 (2004).

    Args:
        image1: one or a batch.
        image2: of the same shape.
        max_val: the range of the values.
        filter_size: the side of the Gaussian window.
        filter_sigma: its standard deviation.
        k1: steadies the means.
        k2: steadies the variances.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: the images differ in shape, or are smaller than the window.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(size=(12, 12, 1)).astype("float32")
    >>> round(float(ssim(x, x)), 4)
    1.0
    """
    if image1.shape != image2.shape:
        raise errors.invalid("ssim", "image2", f"of shape {image1.shape}", tuple(image2.shape))
    dtype = image1.dtype if jnp.issubdtype(image1.dtype, jnp.floating) else jnp.dtype("float32")
    a, _ = as_batch("ssim", image1.astype(dtype), data_format)
    b, _ = as_batch("ssim", image2.astype(dtype), data_format)
    if min(a.shape[1:3]) < filter_size:
        raise errors.invalid("ssim", "filter_size", f"at most {min(a.shape[1:3])}", filter_size)
    bell = _bell(filter_size, filter_sigma, dtype)
    window = jnp.outer(bell, bell)
    mean_a, mean_b, aa, bb, ab = (
        _filtered(part, window, "valid") for part in (a, b, a * a, b * b, a * b)
    )
    c1, c2 = np.square([k1 * max_val, k2 * max_val]).tolist()
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a**2 + bb - mean_b**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    likeness /= (mean_a**2 + mean_b**2 + c1) * (variances + c2)
    result = jnp.mean(likeness, (1, 2, 3)).astype(image1.dtype)
    return result[0] if image1.ndim == 3 else result
