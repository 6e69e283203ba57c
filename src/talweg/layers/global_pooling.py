"""Global pooling: one number for each channel."""

from typing import Any, ClassVar

import jax.numpy as jnp

from talweg.core.config import standardize_data_format
from talweg.layers.arguments import fields
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec


class GlobalPooling(Layer):
    """Base of pooling over all of space.

    Args:
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        keepdims: whether the reduced axes stay, with size 1.
    """

    rank: ClassVar[int]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def compute_output_shape(self, input_shape: Any) -> Any:
        kept = [
            1 if axis in self._axes else size
            for axis, size in enumerate(input_shape)
            if self.keepdims or axis not in self._axes
        ]
        return tuple(kept)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "data_format", "keepdims")}


class GlobalMaxPooling1D(GlobalPooling):
    """The largest over time: (batch, steps, features) to (batch, features).

    Args: as of `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> GlobalMaxPooling1D()(np.ones((2, 5, 3))).shape
    (2, 3)
    """

    rank = 1

    def call(self, inputs: Any) -> Any:
        return jnp.max(inputs, self._axes, keepdims=self.keepdims)


class GlobalMaxPooling2D(GlobalMaxPooling1D):
    """The largest over an image: (batch, rows, columns, channels) to (batch, channels).

    Args: as of `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> GlobalMaxPooling2D()(np.ones((2, 5, 5, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalAveragePooling1D(GlobalPooling):
    """The mean over time: (batch, steps, features) to (batch, features).

    Called with `mask`, of shape (batch, steps), only the steps where it is True count.

    Args: as of `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> GlobalAveragePooling1D()(np.ones((2, 5, 3))).shape
    (2, 3)
    """

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return jnp.mean(inputs, self._axes, keepdims=self.keepdims)
        counts = jnp.expand_dims(mask, 2 if self.data_format == "channels_last" else 1) != 0
        return jnp.sum(jnp.where(counts, inputs, 0), self._axes, keepdims=self.keepdims) / jnp.sum(
            counts, self._axes, keepdims=self.keepdims, dtype=inputs.dtype
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the steps that it spoke of are gone."""


class GlobalAveragePooling2D(GlobalPooling):
    """The mean over an image: (batch, rows, columns, channels) to (batch, channels).

    Args:
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        keepdims: whether rows and columns stay, with size 1.

    >>> import numpy as np
    >>> GlobalAveragePooling2D(keepdims=True)(np.ones((2, 5, 5, 3))).shape
    (2, 1, 1, 3)
    """

    rank = 2

    def call(self, inputs: Any) -> Any:
        return jnp.mean(inputs, self._axes, keepdims=self.keepdims)


class GlobalMaxPooling3D(GlobalMaxPooling1D):
    """The largest over a volume: (batch, d, h, w, channels) to (batch, channels).

    Args: as of `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> GlobalMaxPooling3D()(np.ones((2, 4, 5, 5, 3))).shape
    (2, 3)
    """

    rank = 3


class GlobalAveragePooling3D(GlobalAveragePooling2D):
    """The mean over a volume: (batch, d, h, w, channels) to (batch, channels).

    Args: as of `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> GlobalAveragePooling3D()(np.ones((2, 4, 5, 5, 3))).shape
    (2, 3)
    """

    rank = 3
