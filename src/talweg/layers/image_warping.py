"""Random motions of images during training: rotation, zoom, translation.

Each output pixel (x, y) takes the value of the input at (a₀x + a₁y + a₂, b₀x + b₁y + b₂).
With the same seed the numbers are Keras's; in inference images pass unchanged.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from talweg.core.random import SeedGenerator
from talweg.layers.arguments import choice, fields
from talweg.layers.image import ImageLayer
from talweg.layers.image_augmentation import Factor, factor_range


class Warping(ImageLayer):
    """Base of affine maps of images; a subclass draws (a₀, a₁, a₂, b₀, b₁, b₂) for each."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ):
        super().__init__(data_format, **kwargs)
        owner = type(self).__name__
        modes = ("reflect", "wrap", "constant", "nearest")
        self.fill_mode = choice(owner, "fill_mode", fill_mode, modes)
        known = ("nearest", "bilinear")
        self.interpolation = choice(owner, "interpolation", interpolation, known)
        self.fill_value = fill_value
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def _uniform(self, count: int, limits: tuple[float, float]) -> Any:
        lower, upper = limits
        return jax.random.uniform(self.generator.next(), (count,), minval=lower, maxval=upper)

    def transform(self, images: Any, drawn: Any, interpolation: str) -> Any:
        height, width = self.sizes(images.shape)
        y, x = jnp.arange(height, dtype="float32")[:, None], jnp.arange(width, dtype="float32")
        a0, a1, a2, b0, b1, b2 = (jnp.asarray(part)[..., None, None] for part in drawn)
        shape = (images.shape[0], height, width)
        columns = jnp.broadcast_to(a1 * y + a0 * x + a2, shape)
        rows = jnp.broadcast_to(b1 * y + b0 * x + b2, shape)
        sample = functools.partial(
            map_coordinates,
            order=1 if interpolation == "bilinear" else 0,
            mode=self.fill_mode,
            cval=self.fill_value,
        )
        channel = 0 if self.data_format == "channels_first" else -1
        by_channel = jax.vmap(sample, (channel, None), channel)
        return jax.vmap(by_channel)(images, [rows, columns])

    def get_config(self) -> dict[str, Any]:
        names = ("fill_mode", "fill_value", "interpolation", "seed")
        return {**super().get_config(), **fields(self, *names)}


class RandomRotation(Warping):
    """Each image turned about its middle by a random angle; only in training.

    Args:
        factor: `(lower, upper)` in [-1, 1], as shares of a full turn, positive
            counterclockwise; one number f is (-f, f).
        fill_mode: what lies outside the image: "reflect", "wrap", "constant", "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an integer for angles that repeat.
        fill_value: the value outside with "constant".
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an argument is out of range.

    >>> import numpy as np
    >>> RandomRotation(0.1)(np.ones((2, 6, 6, 3)), training=True).shape
    (2, 6, 6, 3)
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor_range("RandomRotation", "factor", factor, -1, 1)

    def draw(self, images: Any) -> Any:
        lower, upper = self.factor
        angle = self._uniform(images.shape[0], (lower * 360.0, upper * 360.0)) * (math.pi / 180.0)
        height, width = self.sizes(images.shape)
        x, y = 0.5 * (width - 1), 0.5 * (height - 1)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        return (
            cosine, -sine, x - x * cosine + y * sine,
            sine, cosine, y - x * sine - y * cosine,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "factor")}


class RandomZoom(Warping):
    """Each image seen nearer or farther by a random factor; only in training.

    Args:
        height_factor: `(lower, upper)` in (-1, 1]: rows are scaled by 1 + a number drawn
            from it, so that negative numbers zoom in; one number f is (-f, f).
        width_factor: the same for columns; None keeps the shape of what is seen.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomRotation`.

    Raises:
        ValueError: an argument is out of range.

    >>> import numpy as np
    >>> RandomZoom(0.2)(np.ones((2, 6, 6, 3)), training=True).shape
    (2, 6, 6, 3)
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._limits = [
            factor_range("RandomZoom", name, factor, -1, 1, open_below=True)
            for name, factor in (("height_factor", height_factor), ("width_factor", width_factor))
            if factor is not None
        ]

    def draw(self, images: Any) -> Any:
        height, width = self.sizes(images.shape)
        zooms = [self._uniform(images.shape[0], (1.0 + a, 1.0 + b)) for a, b in self._limits]
        rows, columns = zooms[0], zooms[-1]
        left, top = (width - 1) / 2 * (1.0 - columns), (height - 1) / 2 * (1.0 - rows)
        return columns, 0.0, left, 0.0, rows, top

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "height_factor", "width_factor")}


class RandomTranslation(Warping):
    """Each image moved by a random part of its size; only in training.

    Args:
        height_factor: `(lower, upper)` in [-1, 1], as shares of the height, positive
            downwards; one number f is (-f, f).
        width_factor: the same for the width, positive to the right.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomRotation`.

    Raises:
        ValueError: an argument is out of range.

    >>> import numpy as np
    >>> RandomTranslation(0.2, 0.2)(np.ones((2, 6, 6, 3)), training=True).shape
    (2, 6, 6, 3)
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = factor_range("RandomTranslation", "height_factor", height_factor, -1, 1)
        self._width = factor_range("RandomTranslation", "width_factor", width_factor, -1, 1)

    def draw(self, images: Any) -> Any:
        height, width = self.sizes(images.shape)
        down = self._uniform(images.shape[0], self._height) * height
        right = self._uniform(images.shape[0], self._width) * width
        return 1.0, 0.0, -right, 0.0, 1.0, -down

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "height_factor", "width_factor")}
