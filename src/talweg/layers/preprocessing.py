"""Preprocessing of numbers inside the model, so that raw data can be passed to it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors
from talweg.core.serialization import deserialize_keras_object
from talweg.layers.arguments import fields
from talweg.layers.base import Layer
from talweg.layers.elementwise import Elementwise


class Rescaling(Elementwise):
    """`scale` x + `offset`; integers become floats.

    Args:
        scale: a number, or an array that broadcasts against the input.
        offset: the same.

    >>> import numpy as np
    >>> Rescaling(1 / 255)(np.array([0, 255], np.uint8)).tolist()
    [0.0, 1.0]
    """

    _allow_non_tensor_positional_args = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset

    def call(self, inputs: Any) -> Any:
        scale = jnp.asarray(self.scale, self.compute_dtype)
        offset = jnp.asarray(self.offset, self.compute_dtype)
        if scale.ndim and config.image_data_format() == "channels_first":
            scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
        return jnp.asarray(inputs, self.compute_dtype) * scale + offset

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "scale", "offset")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        values = {name: deserialize_keras_object(config[name]) for name in ("scale", "offset")}
        return cls(**{**config, **values})


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with moments that are given or learned by `adapt`.

    The divisor is at least `epsilon()`.

    Args:
        axis: the axes with moments of their own; None for one mean and one variance.
        mean, variance: the moments, both or neither.
        invert: whether the layer undoes the normalization in place of doing it.

    Raises:
        ValueError: one of the moments is missing, or their shapes do not fit.

    >>> import numpy as np
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[3.0, 10.0]])).tolist()
    [[1.0, -1.0]]
    """

    _allow_non_tensor_positional_args = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if axis is None:
            axis = ()
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        if (mean is None) != (variance is None):
            raise errors.invalid(
                "Normalization", "mean and variance", "given together", (mean, variance)
            )
        shapes = np.shape(mean), np.shape(variance)
        if mean is not None and (shapes[0] != shapes[1] or len(shapes[0]) > len(self.axis)):
            raise errors.invalid(
                "Normalization", "mean and variance",
                f"of one shape and of rank {len(self.axis)} at most, as axis={self.axis}", shapes,
            )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise errors.invalid("Normalization", "axis", f"in [{-rank}, {rank})", self.axis)
        self._kept = tuple(sorted(axis % rank for axis in self.axis))
        shape = tuple(input_shape[axis] for axis in self._kept)
        if None in shape:
            raise errors.invalid(
                "Normalization", f"the input's size on axes {self.axis}", "known", input_shape
            )
        self._sizes = [1] * rank
        for axis in self._kept:
            self._sizes[axis] = input_shape[axis]
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(
                name="mean", shape=shape, initializer="zeros", trainable=False
            )
            self.adapt_variance = self.add_weight(
                name="variance", shape=shape, initializer="ones", trainable=False
            )
            self.count = self.add_weight(
                name="count", shape=(), dtype="int32", initializer="zeros", trainable=False
            )

    def adapt(self, data: Any) -> None:
        """Learn mean and variance from data; what was learned before is forgotten.

        Args:
            data: an array or a table, or an iterable of batches; of a tuple the first
                entry counts.

        Raises:
            TypeError: the data is neither.
            ValueError: it is empty, not finite, or of another shape than the layer's.
        """
        if self.input_mean is not None:
            raise errors.invalid(
                "Normalization.adapt", "the layer", "one without a given mean", self.input_mean
            )
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            if not self.built:
                self.build(batch.shape)
            sizes = zip(self._sizes, batch.shape, strict=False)
            if batch.ndim != len(self._sizes) or any(
                wanted != size for axis, (wanted, size) in enumerate(sizes) if axis in self._kept
            ):
                raise errors.invalid(
                    f"Layer {self.name!r}", "the data of adapt()",
                    f"of size {self._sizes} on axes {self._kept}", batch.shape,
                )  # fmt: skip
            axes = tuple(axis for axis in range(batch.ndim) if axis not in self._kept)
            new = int(np.prod([batch.shape[axis] for axis in axes], dtype=np.int64))
            if new == 0:
                continue
            # Chan et al., 1983: sums of squared deviations merge without cancellation.
            batch_mean = np.mean(batch, axes, dtype=np.float64)
            delta = batch_mean - mean
            squares = squares + np.var(batch, axes, dtype=np.float64) * new
            squares = squares + delta**2 * (count * new / (count + new))
            count += new
            mean = mean + delta * (new / count)
        if count == 0:
            raise errors.invalid("Normalization.adapt", "the data", "not empty", data)
        if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
            raise errors.invalid(
                "Normalization.adapt", "every entry of the data", "finite", mean,
                "Drop or fill rows with NaN or infinity first.",
            )  # fmt: skip
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts against the input."""
        return self._moment("adapt_mean", self.input_mean)

    @property
    def variance(self) -> Any:
        """The variance, in a shape that broadcasts against the input."""
        return self._moment("adapt_variance", self.input_variance)

    def _moment(self, name: str, given: Any) -> Any:
        if not self.built:
            return None
        if given is None:
            return getattr(self, name).value.reshape(self._sizes)
        value = jnp.asarray(given, self.compute_dtype)
        sizes = [1] * len(self._sizes)
        for axis, size in zip(self._kept[::-1], value.shape[::-1], strict=False):
            sizes[axis] = size
        return jnp.broadcast_to(value.reshape(sizes), self._sizes)

    def call(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs, self.compute_dtype)
        deviation = jnp.maximum(jnp.sqrt(self.variance), config.epsilon())
        if self.invert:
            return self.mean + x * deviation
        return (x - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(self, "axis", "invert"),
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }


def _batches(data: Any) -> Iterator[np.ndarray]:
    if hasattr(data, "__array__"):
        yield np.asarray(data)
        return
    # A Keras PyDataset has a length and items, and an iterator that may not end.
    sequence = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if isinstance(data, (str, bytes, dict)) or not (sequence or isinstance(data, Iterable)):
        raise errors.wrong_type(
            "Normalization.adapt", "the data", "an array or an iterable of batches", data
        )
    if sequence:
        items: Any = data
        data = map(items.__getitem__, range(len(items)))
    for batch in data:
        batch = batch[0] if isinstance(batch, tuple) else batch
        if not hasattr(batch, "shape"):
            raise errors.wrong_type(
                "Normalization.adapt", "each batch", "an array", batch,
                "Pass numpy.asarray(data) for a list of rows.",
            )  # fmt: skip
        yield np.asarray(batch)
