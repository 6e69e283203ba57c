"""Images whose pixels come from elsewhere: affine, perspective, elastic maps."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from talweg.core import errors
from talweg.core.random import key_of
from talweg.ops.image_filters import gaussian_blur
from talweg.ops.image_layout import as_batch, one_of
from talweg.ops.keras_tensor import Tensor, op

_ORDERS = {"nearest": 0, "bilinear": 1}
_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


@op
def map_coordinates(
    inputs: Tensor,
    coordinates: Tensor,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    """The values of an array at places between its entries.

    Args:
        inputs: of any rank n.
        coordinates: of shape (n, …): where to look along each axis.
        order: 0 for the nearest entry, 1 for linear interpolation.
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: the value outside with "constant".

    Raises:
        ValueError: the shapes do not fit, or an option is none of these.

    >>> float(map_coordinates([0.0, 10.0, 20.0], [[0.5]], order=1)[0])
    5.0
    """
    if coordinates.ndim < 2 or coordinates.shape[0] != inputs.ndim:
        raise errors.invalid(
            "map_coordinates", "coordinates", f"of shape ({inputs.ndim}, …)", coordinates.shape
        )
    one_of("map_coordinates", "fill_mode", fill_mode, _FILL_MODES)
    one_of("map_coordinates", "order", order, (0, 1))
    return ndimage.map_coordinates(inputs, list(coordinates), order, fill_mode, fill_value)


def _look_up(batch: Any, rows: Any, columns: Any, how: str, mode: str, value: Any) -> Any:
    """(N, H, W, C) at the places (N, H, W) of each image, the same for all channels."""

    def plane(image: Any, row: Any, column: Any) -> Any:
        return ndimage.map_coordinates(image, [row, column], _ORDERS[how], mode, value)

    by_channel = jax.vmap(plane, (-1, None, None), -1)
    return jax.vmap(by_channel)(batch, rows, columns)


def _grid(batch: Any) -> tuple[Any, Any]:
    """The rows and columns of the pixels: (H, 1) and (W,)."""
    _, height, width, _ = batch.shape
    return jnp.arange(height, dtype="float32")[:, None], jnp.arange(width, dtype="float32")


@op
def affine_transform(
    images: Tensor,
    transform: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Images whose pixel (x, y) is the input's at (a₀x + a₁y + a₂, b₀x + b₁y + b₂) / k.

    Args:
        images: one or a batch.
        transform: (a₀, a₁, a₂, b₀, b₁, b₂, c₀, c₁) for all or for each image; the last two
            do not count.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: the value outside with "constant".
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an argument is none of these.

    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(3, 3, 1)
    >>> affine_transform(x, [1, 0, 1, 0, 1, 0, 0, 0])[..., 0].tolist()  # from the right
    [[1.0, 2.0, 0.0], [4.0, 5.0, 0.0], [7.0, 8.0, 0.0]]
    """
    one_of("affine_transform", "interpolation", interpolation, tuple(_ORDERS))
    one_of("affine_transform", "fill_mode", fill_mode, _FILL_MODES)
    if transform.ndim not in (1, 2) or transform.shape[-1] != 8:
        raise errors.invalid("affine_transform", "transform", "(8,) or (N, 8)", transform.shape)
    batch, back = as_batch("affine_transform", images, data_format)
    each = jnp.broadcast_to(transform, (len(batch), 8)).astype("float32")
    a0, a1, a2, b0, b1, b2 = (each[:, i, None, None] for i in range(6))
    y, x = _grid(batch)
    rows, columns = b0 * x + b1 * y + b2, a0 * x + a1 * y + a2
    return back(_look_up(batch, rows, columns, interpolation, fill_mode, fill_value))


@op
def perspective_transform(
    images: Tensor,
    start_points: Tensor,
    end_points: Tensor,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Images under the perspective that moves four points (x, y) to four others.

    Args:
        images: one or a batch.
        start_points: (4, 2), or (N, 4, 2) for a batch.
        end_points: where they come to lie, of the same shape.
        interpolation: "bilinear" or "nearest".
        fill_value: the value outside the images.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: the points have another shape, or an option is none of these.

    >>> import numpy as np
    >>> x, corners = np.ones((4, 4, 1)), [[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [3.0, 3.0]]
    >>> perspective_transform(x, corners, corners).round(3).mean().tolist()
    1.0
    """
    owner = "perspective_transform"
    one_of(owner, "interpolation", interpolation, tuple(_ORDERS))
    for name, points in (("start_points", start_points), ("end_points", end_points)):
        if points.shape[-2:] != (4, 2) or points.ndim not in (2, 3):
            raise errors.invalid(owner, name, "of shape (4, 2) or (N, 4, 2)", points.shape)
    if start_points.shape != end_points.shape:
        raise errors.invalid(owner, "end_points", f"of shape {start_points.shape}", end_points)
    batch, back = as_batch(owner, images, data_format)
    shape = (len(batch), 4, 2)
    sources = jnp.broadcast_to(start_points, shape).astype("float32")
    targets = jnp.broadcast_to(end_points, shape).astype("float32")
    a, b, c, d, e, f, g, h = (part[:, None, None] for part in _homography(sources, targets).T)
    y, x = _grid(batch)
    depth = g * x + h * y + 1
    rows, columns = (d * x + e * y + f) / depth, (a * x + b * y + c) / depth
    return back(_look_up(batch, rows, columns, interpolation, "constant", fill_value))


def _homography(sources: Any, targets: Any) -> Any:
    """The eight numbers that take the targets (N, 4, 2) back to the sources."""
    zero, one = jnp.zeros_like(targets[..., 0]), jnp.ones_like(targets[..., 0])
    x, y = targets[..., 0], targets[..., 1]
    from_x, from_y = sources[..., 0], sources[..., 1]
    top = jnp.stack([x, y, one, zero, zero, zero, -from_x * x, -from_x * y], -1)
    bottom = jnp.stack([zero, zero, zero, x, y, one, -from_y * x, -from_y * y], -1)
    matrix = jnp.concatenate([top, bottom], 1)
    return jnp.linalg.solve(matrix, jnp.concatenate([from_x, from_y], 1)[..., None])[..., 0]


@op
def elastic_transform(
    images: Tensor,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Any:
    """Images whose pixels are moved by smooth random shifts.

    As in Keras, one field of shifts serves both directions.

    Args:
        images: one or a batch, floating.
        alpha: how far pixels move.
        sigma: how smooth the shifts are, in pixels.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: the value outside with "constant".
        seed: an integer, a `SeedGenerator`, or None.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an option is none of these.

    >>> import numpy as np
    >>> elastic_transform(np.ones((2, 8, 8, 3), np.float32), seed=1).shape
    (2, 8, 8, 3)
    """
    one_of("elastic_transform", "interpolation", interpolation, tuple(_ORDERS))
    one_of("elastic_transform", "fill_mode", fill_mode, _FILL_MODES)
    batch, back = as_batch("elastic_transform", images, data_format)
    shifts = jax.random.normal(key_of(seed), batch.shape[:3], batch.dtype) * sigma
    side = int(6 * sigma) | 1
    smooth = gaussian_blur(shifts[..., None], (side, side), (sigma, sigma), "channels_last")
    y, x = _grid(batch)
    moved = alpha * smooth[..., 0]
    result = _look_up(batch, y + moved, x + moved, interpolation, fill_mode, fill_value)
    return back(result.astype(images.dtype))
