"""Cropping: the inner part of sequences, images and volumes."""

from typing import Any, ClassVar

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.layers.arguments import fields, integers, sides
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec


class Cropping(Layer):
    """Base of cropping; the arguments are those of `Cropping2D`."""

    rank: ClassVar[int]

    def __init__(self, cropping: Any, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.cropping: Any = sides(type(self).__name__, "cropping", cropping, self.rank)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    @property
    def _sides(self) -> tuple[tuple[int, int], ...]:
        return self.cropping

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        sizes = self.compute_output_shape(inputs.shape)[first:]
        cut = [
            slice(before, before + size)
            for (before, _), size in zip(self._sides, sizes, strict=False)
        ]
        return inputs[(slice(None),) * first + tuple(cut)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        sizes = list(input_shape)
        for axis, (before, after) in enumerate(self._sides, first):
            if sizes[axis] is None:
                continue
            if sizes[axis] <= before + after:
                raise errors.invalid(
                    f"Layer {self.name!r}", "cropping", f"less than axis {axis} of the input",
                    self.cropping, f"The input's shape is {tuple(input_shape)}.",
                )  # fmt: skip
            sizes[axis] -= before + after
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "cropping", "data_format")}


class Cropping1D(Cropping):
    """A sequence without its first and last steps: (batch, steps, features).

    Args:
        cropping: how many on each side: one integer, or `(before, after)`.

    Raises:
        ValueError: `cropping` is neither, or nothing would be left.

    >>> import numpy as np
    >>> Cropping1D((1, 2))(np.ones((2, 10, 3))).shape
    (2, 7, 3)
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        cropping = integers("Cropping1D", "cropping", cropping, 2, minimum=0)
        super().__init__((cropping,), "channels_last", **kwargs)
        self.cropping = cropping

    @property
    def _sides(self) -> tuple[tuple[int, int], ...]:
        return (self.cropping,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


class Cropping2D(Cropping):
    """Images without their margins.

    Args:
        cropping: rows and columns on each side: one integer, `(rows, columns)`, or
            `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: `cropping` is none of the three, or nothing would be left.

    >>> import numpy as np
    >>> Cropping2D(((1, 0), (2, 2)))(np.ones((2, 8, 8, 3))).shape
    (2, 7, 4, 3)
    """

    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(Cropping):
    """Volumes without their margins.

    Args: as of `Cropping2D`, with three axes.

    >>> import numpy as np
    >>> Cropping3D((1, 0, 2))(np.ones((2, 8, 8, 8, 3))).shape
    (2, 6, 8, 4, 3)
    """

    rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(cropping, data_format, **kwargs)
