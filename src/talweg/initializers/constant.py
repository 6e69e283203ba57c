"""Initializers without chance: constants, the identity, the kernels of a short-time Fourier
transform."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from talweg.core import errors
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.initializers.base import Initializer, numpy_dtype


class Constant(Initializer):
    """Every entry the same value.

    Args:
        value: a number, or an array that broadcasts to the shape; 0.0 by default.

    >>> Constant(3.0)((2,)).tolist()
    [3.0, 3.0]
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        value = np.asarray(self.value)
        try:
            return np.broadcast_to(value, tuple(shape)).astype(numpy_dtype(dtype))
        except ValueError:
            raise errors.invalid(
                "Constant", "value", f"one that broadcasts to {tuple(shape)}", value.shape
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(deserialize_keras_object(config.get("value", 0.0)))


class Zeros(Initializer):
    """Zeros.

    >>> Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.zeros(tuple(shape), numpy_dtype(dtype))


class Ones(Initializer):
    """Ones.

    >>> Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.ones(tuple(shape), numpy_dtype(dtype))


class Identity(Initializer):
    """The identity matrix times `gain`; ones on the diagonal where it is not square.

    Args:
        gain: the factor, 1.0 by default; part of the config (Keras forgets it).

    Raises:
        ValueError: the shape is not that of a matrix.

    >>> Identity(2.0)((2, 2)).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) != 2:
            raise errors.invalid("Identity", "shape", "that of a matrix", tuple(shape))
        rows, columns = shape
        return (self.gain * np.eye(rows, columns)).astype(numpy_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class STFT(Initializer):
    """Convolution kernels that compute a short-time Fourier transform.

    For frame position t and frequency k of n = 2 (fft_length - 1): the real part is
    w(t) cos(-2π t k / n), the imaginary part w(t) sin(-2π t k / n).

    Args:
        side: "real" or "imag".
        window: a name that `scipy.signal.get_window` knows, an array of the frame's
            length, or None for no window.
        scaling: "density" divides by the window's L2 norm, "spectrum" by its L1 norm,
            None not at all.
        periodic: whether a named window is periodic rather than symmetric, as Keras
            passes it on.

    The shape asked for is (frame_length, input_channels, fft_length).

    >>> STFT("real", None)((4, 1, 3)).shape
    (4, 1, 3)
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise errors.invalid("STFT", "side", "'real' or 'imag'", side)
        if scaling not in (None, "density", "spectrum"):
            raise errors.invalid("STFT", "scaling", "'density', 'spectrum' or None", scaling)
        if isinstance(window, str):
            try:
                _get_window()(window, 1)
            except ValueError:
                raise errors.invalid(
                    "STFT", "window", "a name that scipy.signal.get_window knows", window
                ) from None
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) != 3:
            raise errors.invalid(
                "STFT", "shape", "(frame_length, input_channels, fft_length)", tuple(shape)
            )
        frame_length, _, fft_length = shape
        time = np.arange(frame_length, dtype=np.float64).reshape(-1, 1, 1)
        frequency = np.arange(fft_length, dtype=np.float64) / (2 * (fft_length - 1))
        angle = -2 * np.pi * time * frequency.reshape(1, 1, -1)
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            kernel = kernel * self._scaled_window(frame_length).reshape(-1, 1, 1)
        return kernel.astype(numpy_dtype(dtype))

    def _scaled_window(self, frame_length: int) -> np.ndarray:
        window = self.window
        if isinstance(window, str):
            window = _get_window()(window, frame_length, self.periodic)
        window = np.asarray(window, np.float64)
        if window.shape != (frame_length,):
            raise errors.invalid("STFT", "window", f"of shape ({frame_length},)", window.shape)
        if self.scaling == "density":
            return window / np.sqrt(np.sum(window**2))
        if self.scaling == "spectrum":
            return window / np.sum(np.abs(window))
        return window

    def get_config(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "window": self.window,
            "periodic": self.periodic,
            "scaling": self.scaling,
        }


def _get_window() -> Callable[..., np.ndarray]:
    # Imported late: scipy.signal takes a third of a second, and only this class needs it.
    return errors.extra("scipy.signal", "data", "The STFT initializer").get_window
