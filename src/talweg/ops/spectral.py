"""Fourier transforms; complex numbers are pairs (real, imaginary), as in Keras."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import signal

from talweg.core import errors
from talweg.ops.keras_tensor import Tensor, op


def _complex(x: Any, owner: str) -> Any:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise errors.wrong_type(owner, "x", "a pair (real, imaginary)", x)
    real, imaginary = (jnp.asarray(part) for part in x)
    if real.shape != imaginary.shape or not jnp.issubdtype(real.dtype, jnp.floating):
        raise errors.invalid(
            owner, "x", "two floating arrays of one shape", (real.shape, imaginary.shape)
        )
    return lax.complex(real, imaginary)


def _pair(z: Any) -> tuple[Any, Any]:
    return jnp.real(z), jnp.imag(z)


@op
def fft(x: Any) -> Any:
    """The Fourier transform along the last axis."""
    return _pair(jnp.fft.fft(_complex(x, "fft")))


@op
def fft2(x: Any) -> Any:
    """The Fourier transform along the last two axes."""
    return _pair(jnp.fft.fft2(_complex(x, "fft2")))


@op
def ifft2(x: Any) -> Any:
    """The inverse of `fft2`."""
    return _pair(jnp.fft.ifft2(_complex(x, "ifft2")))


@op
def rfft(x: Tensor, fft_length: int | None = None) -> Any:
    """The first half of the Fourier transform of real numbers."""
    return _pair(jnp.fft.rfft(x, n=fft_length))


@op
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """The inverse of `rfft`."""
    return jnp.fft.irfft(_complex(x, "irfft"), n=fft_length)


@op
def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Any:
    """Windows of `sequence_length` along the last axis, one every `sequence_stride`.

    >>> extract_sequences([1, 2, 3, 4], 2, 1).tolist()
    [[1, 2], [2, 3], [3, 4]]
    """
    _require_stride("extract_sequences", sequence_stride)
    x = jnp.asarray(x)
    count = max(0, 1 + (x.shape[-1] - sequence_length) // sequence_stride)
    starts = jnp.arange(count)[:, None] * sequence_stride
    return x[..., starts + jnp.arange(sequence_length)]


def _require_stride(owner: str, stride: Any) -> None:
    if not isinstance(stride, (int, np.integer)) or stride < 1:
        raise errors.invalid(owner, "sequence_stride", "a positive integer", stride)


def _window(window: Any, length: int, fft_length: int, dtype: Any) -> Any:
    """The window, centred in a frame of `fft_length`."""
    left = (fft_length - length) // 2
    right = fft_length - length - left
    if window is None:
        return jnp.ones(fft_length, dtype)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise errors.invalid("stft", "window", "'hann', 'hamming', an array or None", window)
        # Periodic, as signal processing has it: one point more, the last dropped.
        full: Callable[..., Any] = jnp.hanning if window == "hann" else jnp.hamming
        window = full(length + 1)[:-1]
    window = jnp.asarray(window, dtype)
    if window.shape != (length,):
        raise errors.invalid("stft", "window", f"of shape ({length},)", window.shape)
    return jnp.pad(window, (left, right))


@op
def stft(
    x: Tensor,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """The short-time Fourier transform along the last axis: (…, frames, frequencies).

    Args:
        sequence_length: the frame's length, at most `fft_length`.
        sequence_stride: from one frame to the next.
        fft_length: of each transform.
        window: "hann", "hamming", an array of the frame's length, or None.
        center: whether the signal is reflected at both ends, so that frames are centred.

    >>> stft(jnp.ones(16), 4, 2, 4)[0].shape
    (9, 3)
    """
    _require_stride("stft", sequence_stride)
    x = jnp.asarray(x)
    if x.dtype not in (jnp.float32, jnp.float64):
        raise errors.wrong_type("stft", "x", "float32 or float64", x.dtype)
    if fft_length < sequence_length:
        raise errors.invalid("stft", "fft_length", f"at least {sequence_length}", fft_length)
    frame = _window(window, sequence_length, fft_length, x.dtype)
    if center:
        edge = fft_length // 2
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(edge, edge)], mode="reflect")
    return _pair(jnp.fft.rfft(frame * extract_sequences(x, fft_length, sequence_stride)))


@op
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """The signal whose `stft` is x, cut to `length`."""
    _require_stride("istft", sequence_stride)
    z = _complex(x, "istft")
    frame = _window(window, sequence_length, fft_length, jnp.real(z).dtype)
    signal_ = signal.istft(
        z,
        window=frame,
        nperseg=fft_length,
        noverlap=fft_length - sequence_stride,
        nfft=fft_length,
        boundary=False,
        time_axis=-2,
        freq_axis=-1,
    )[-1]
    signal_ = signal_ / (frame.sum() if window is not None else sequence_stride)
    start = fft_length // 2 if center else 0
    if length is not None:
        return signal_[..., start : start + length]
    whole = fft_length + sequence_stride * (z.shape[-2] - 1)
    return signal_[..., start : -(fft_length // 2) if center else whole]
