"""Random changes of images during training: crops, flips, contrast, brightness.

With the same seed the numbers are Keras's; in inference images pass unchanged.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from talweg.core import errors
from talweg.core.random import SeedGenerator, draw_seed
from talweg.layers.arguments import choice, fields, integer
from talweg.layers.image import (
    ImageLayer,
    SizedImageLayer,
    aspect_box,
    resized,
    spatial_axes,
    window,
)

Factor = float | Sequence[float]


def factor_range(
    owner: str, name: str, factor: Any, lowest: float, highest: float, open_below: bool = False
) -> tuple[float, float]:
    """The range of a random factor, from one number (both ways) or from two.

    >>> factor_range("RandomRotation", "factor", 0.2, -1.0, 1.0)
    (-0.2, 0.2)
    """
    pair = factor if isinstance(factor, (list, tuple)) else (factor, factor)
    if len(pair) != 2 or not all(
        isinstance(value, (int, float)) and lowest <= value <= highest
        and not (open_below and value == lowest)
        for value in pair
    ):  # fmt: skip
        bracket = "(" if open_below else "["
        expected = f"one or two numbers in {bracket}{lowest:g}, {highest:g}]"
        raise errors.invalid(owner, name, expected, factor)
    if not isinstance(factor, (list, tuple)):
        return max(-abs(factor), lowest), abs(factor)
    lower, upper = sorted(pair)
    return lower, upper


class RandomCrop(SizedImageLayer):
    """A random window of the images, the same for a whole batch; only in training.

    Images that are not larger both ways are cropped in the middle and resized. As in
    Keras, inference leaves images at the size they have: crop them there with `CenterCrop`.

    Args:
        height: rows of the window.
        width: columns of the window.
        seed: an integer for windows that repeat.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> RandomCrop(4, 5)(np.ones((2, 8, 8, 3)), training=True).shape
    (2, 4, 5, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format, name=name, **kwargs)
        self.height = integer("RandomCrop", "height", height)
        self.width = integer("RandomCrop", "width", width)
        self.seed = draw_seed() if seed is None else seed
        self.generator = SeedGenerator(self.seed)

    def draw(self, images: Any) -> Any:
        height, width = self.sizes(images.shape)
        if height <= self.height or width <= self.width:
            return None
        limits = (height - self.height + 1.0, width - self.width + 1.0)
        return [
            jax.random.uniform(self.generator.next(), (), maxval=limit).astype("int32")
            for limit in limits
        ]

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        images, target = self.converted(images), (self.height, self.width)
        if drawn is not None:
            for axis, start, size in zip(
                spatial_axes(self.data_format), drawn, target, strict=True
            ):
                images = lax.dynamic_slice_in_dim(images, start, size, axis)
            return images
        size = self.sizes(images.shape)
        top, left, _, _ = aspect_box(size, target)
        images = window(images, self.data_format, top, left, *target)
        if self.sizes(images.shape) != target:
            images = resized(images, target, self.data_format)
        return images

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "height", "width", "seed")}


class RandomFlip(ImageLayer):
    """Each image mirrored with probability 1/2; only in training.

    Args:
        mode: "horizontal" (left and right), "vertical" or "horizontal_and_vertical", which
            as in Keras mirrors an image both ways or not at all.
        seed: an integer for flips that repeat.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> x = np.array([[[1.0], [2.0]]])
    >>> sorted(RandomFlip("horizontal", seed=1)(x, training=True).ravel().tolist())
    [1.0, 2.0]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format, **kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = choice("RandomFlip", "mode", mode, modes)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def draw(self, images: Any) -> Any:
        return jax.random.uniform(self.generator.next(), (images.shape[0], 1, 1, 1)) <= 0.5

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        images = self.converted(images)
        vertical, horizontal = spatial_axes(self.data_format)
        axes = {"horizontal": (horizontal,), "vertical": (vertical,)}
        both = (vertical, horizontal)
        return jnp.where(drawn, jnp.flip(images, axes.get(self.mode, both)), images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "seed", "mode")}


class RandomContrast(ImageLayer):
    """`(x - mean) c + mean` by image and channel, clipped; only in training.

    Integer images are computed on as floats, in inference too; Keras leaves those.

    Args:
        factor: `(lower, upper)` in [0, 1]: c is uniform in [1 - lower, 1 + upper]. One
            number f is (0, f), as in Keras.
        value_range: the least and the greatest value of a pixel.
        seed: an integer for changes that repeat.

    Raises:
        ValueError: `factor` is out of range.

    >>> import numpy as np
    >>> RandomContrast(0.2)(np.ones((2, 4, 4, 3)), training=True).shape
    (2, 4, 4, 3)
    """

    moves_pixels = False

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.factor = factor_range("RandomContrast", "factor", factor, 0, 1)
        _check_range("RandomContrast", value_range)
        self.value_range = value_range
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def draw(self, images: Any) -> Any:
        lower, upper = self.factor
        shape = (images.shape[0], 1, 1, 1)
        key = self.generator.next()
        return jax.random.uniform(key, shape, self.compute_dtype, 1.0 - lower, 1.0 + upper)

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        mean = images
        for axis in spatial_axes(self.data_format):
            mean = jnp.mean(mean, axis, keepdims=True)
        return jnp.clip((images - mean) * drawn + mean, *self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "factor", "value_range", "seed")}


class RandomBrightness(ImageLayer):
    """Every pixel of an image shifted by the same amount, clipped; only in training.

    Integer images are computed on as floats; Keras's sums wrap around there.

    Args:
        factor: `(lower, upper)` in [-1, 1], as a share of the range of values; one number
            f is (-f, f).
        value_range: the least and the greatest value of a pixel.
        seed: an integer for changes that repeat.

    Raises:
        ValueError: `factor` is out of range.

    >>> import numpy as np
    >>> RandomBrightness(0.2)(np.ones((2, 4, 4, 3)), training=True).shape
    (2, 4, 4, 3)
    """

    moves_pixels = False

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.factor = factor_range("RandomBrightness", "factor", factor, -1, 1)
        _check_range("RandomBrightness", value_range)
        self.value_range = sorted(value_range)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def draw(self, images: Any) -> Any:
        lower, upper = self.factor
        low, high = self.value_range
        shape = (images.shape[0], 1, 1, 1)
        share = jax.random.uniform(self.generator.next(), shape, minval=lower, maxval=upper)
        return share * (high - low)

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        return jnp.clip(images + drawn.astype(images.dtype), *self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "factor", "value_range", "seed")}


def _check_range(owner: str, value_range: Any) -> None:
    if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
        raise errors.invalid(owner, "value_range", "two numbers", value_range)
