"""Images in the one layout that the functions on images compute in."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.core.config import standardize_data_format


def spatial_axes(data_format: str | None) -> tuple[int, int]:
    """The axes of height and width, from the end."""
    last = standardize_data_format(data_format) == "channels_last"
    return (-3, -2) if last else (-2, -1)


def checked_rank(owner: str, images: Any) -> Any:
    """Images as they are, if they are one (rank 3) or a batch (rank 4)."""
    if images.ndim not in (3, 4):
        expected = "of rank 3 (an image) or 4 (a batch)"
        raise errors.invalid(owner, "images", expected, tuple(images.shape))
    return images


def as_batch(owner: str, images: Any, data_format: str | None) -> tuple[Any, Callable[[Any], Any]]:
    """Images as (batch, height, width, channels), and the way back."""
    checked_rank(owner, images)
    single, first = images.ndim == 3, standardize_data_format(data_format) == "channels_first"
    batch = images[None] if single else images
    batch = jnp.moveaxis(batch, 1, -1) if first else batch

    def back(result: Any) -> Any:
        result = jnp.moveaxis(result, -1, 1) if first else result
        return result[0] if single else result

    return batch, back


def one_of(owner: str, parameter: str, value: Any, known: tuple[Any, ...]) -> Any:
    """`value`, if it is one of those known."""
    if value not in known:
        raise errors.invalid(owner, parameter, " or ".join(map(repr, known)), value)
    return value
