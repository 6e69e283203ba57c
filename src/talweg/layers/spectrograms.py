"""Spectrograms of sound inside the model."""

import math
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg import initializers
from talweg.core import config, errors
from talweg.layers.arguments import choice, fields, integer, number
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec
from talweg.ops.spectral import stft

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class MelSpectrogram(Layer):
    """The power of a signal in bands that are even on the mel scale, in decibels.

    mel(f) = 1127 ln(1 + f / 700); each band is a triangle of height 1 (as in HTK). The
    output has shape (batch, num_mel_bins, frames).

    Args:
        fft_length: of each frame's transform.
        sequence_stride: samples from one frame to the next.
        sequence_length: samples in a frame; `fft_length` where None.
        window: "hann", "hamming", an array, or None.
        sampling_rate: samples per second.
        num_mel_bins: the number of bands.
        min_freq, max_freq: their range in Hz; half the sampling rate at most.
        power_to_db: whether the output is 10 log10 of the power.
        top_db: what is weaker than the strongest by more decibels is raised to that.
        mag_exp: the exponent of the magnitude; 2 is power.
        min_power: the least power that is told apart.
        ref_power: the power of 0 decibels.

    >>> MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8)(np.ones((2, 160))).shape
    (2, 8, 6)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = "MelSpectrogram"
        self.fft_length = integer(owner, "fft_length", fft_length)
        self.sequence_stride = integer(owner, "sequence_stride", sequence_stride)
        self.sequence_length = sequence_length or fft_length
        if self.sequence_length > fft_length:
            raise errors.invalid(owner, "sequence_length", f"at most {fft_length}", sequence_length)
        self.window = window
        self.sampling_rate = number(owner, "sampling_rate", sampling_rate)
        self.num_mel_bins = integer(owner, "num_mel_bins", num_mel_bins)
        self.min_freq = number(owner, "min_freq", min_freq)
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power = min_power
        self.ref_power = ref_power

    def call(self, inputs: Any) -> Any:
        wide = self.compute_dtype in ("float32", "float64")
        x = jnp.asarray(inputs, self.compute_dtype if wide else "float32")
        real, imaginary = stft(
            x, self.sequence_length, self.sequence_stride, self.fft_length, self.window
        )
        magnitude = jnp.sqrt(real**2 + imaginary**2) ** self.mag_exp
        bands = self.linear_to_mel_weight_matrix(
            self.num_mel_bins, self.fft_length // 2 + 1, self.sampling_rate, self.min_freq,
            self.max_freq,
        )  # fmt: skip
        power = magnitude @ jnp.asarray(bands, x.dtype)
        if self.power_to_db:
            power = self._decibels(power)
        return jnp.swapaxes(power, -1, -2).astype(self.compute_dtype)

    def _decibels(self, power: Any) -> Any:
        level = 10.0 * jnp.log10(jnp.maximum(power, self.min_power))
        level -= 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
        return jnp.maximum(level, level.max() - self.top_db)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> np.ndarray:
        """The share of each frequency in each band, (frequencies, bands).

        Args:
            num_mel_bins: the number of bands.
            num_spectrogram_bins: the number of frequencies, from 0 to half the rate.
            sampling_rate: samples per second.
            lower_edge_hertz, upper_edge_hertz: the range of the bands.
            dtype: of the result.
        """

        def mel(hertz: Any) -> Any:
            return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)

        frequencies = mel(np.linspace(0.0, sampling_rate / 2, num_spectrogram_bins))[1:, None]
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        low, centre, high = edges[:-2], edges[1:-1], edges[2:]
        rising = (frequencies - low) / (centre - low)
        falling = (high - frequencies) / (high - centre)
        bands = np.maximum(0.0, np.minimum(rising, falling))
        return np.pad(bands, ((1, 0), (0, 0))).astype(dtype)  # the constant part is in no band

    def compute_output_shape(self, input_shape: Any) -> Any:
        time = input_shape[-1]
        frames = None if time is None else 1 + self._padded(time) // self.sequence_stride
        return (*input_shape[:-1], self.num_mel_bins, frames)

    def _padded(self, time: int) -> int:
        return time + 2 * (self.fft_length // 2) - self.fft_length

    def get_config(self) -> dict[str, Any]:
        names = (
            "fft_length", "sequence_stride", "sequence_length", "window", "sampling_rate",
            "num_mel_bins", "min_freq", "max_freq", "power_to_db", "top_db", "mag_exp",
            "min_power", "ref_power",
        )  # fmt: skip
        return {**super().get_config(), **fields(self, *names)}


class STFTSpectrogram(Layer):
    """The short-time Fourier transform by trainable kernels, one signal per channel.

    Args:
        mode: "log", "magnitude", "psd", "real", "imag", "angle" or "stft" (real and
            imaginary parts beside each other).
        frame_length: samples in a frame.
        frame_step: samples from one frame to the next; half a frame where None.
        fft_length: of each transform; the next power of two where None.
        window: a name that `scipy.signal.get_window` knows, an array, or None.
        periodic: whether a named window is periodic.
        scaling: "density", "spectrum" or None.
        padding: "valid" or "same".
        expand_dims: whether frequencies get an axis of their own.
        data_format: "channels_last" for (batch, time, channels), or "channels_first".

    >>> STFTSpectrogram(frame_length=16, window=None)(np.ones((2, 64, 1), np.float32)).shape
    (2, 7, 9)
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = "STFTSpectrogram"
        self.mode = choice(owner, "mode", mode, _MODES)
        self.frame_length = integer(owner, "frame_length", frame_length)
        if (
            frame_step is not None
            and not 1 <= integer(owner, "frame_step", frame_step) <= frame_length
        ):
            raise errors.invalid(owner, "frame_step", f"in 1 … {frame_length}", frame_step)
        if fft_length is not None and fft_length < frame_length:
            raise errors.invalid(owner, "fft_length", f"at least {frame_length}", fft_length)
        if fft_length is not None and fft_length & (fft_length - 1):
            warnings.warn(
                f"STFTSpectrogram: fft_length should be a power of two, got {fft_length}.",
                stacklevel=2,
            )
        self.frame_step = frame_step
        self.fft_length = fft_length
        self._step = frame_step or max(frame_length // 2, 1)
        self._fft = fft_length or 2 ** math.ceil(math.log2(frame_length))
        self.window = window
        self.periodic = periodic
        self.scaling = scaling
        self._initializers = {
            side: initializers.STFT(side, window, scaling, periodic) for side in ("real", "imag")
        }
        self.padding = choice(owner, "padding", padding, ("valid", "same"))
        self.expand_dims = expand_dims
        self.data_format = data_format or config.image_data_format()
        choice(owner, "data_format", self.data_format, ("channels_last", "channels_first"))
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        shape = (self.frame_length, 1, self._fft // 2 + 1)
        if self.mode != "imag":
            self.real_kernel = self.add_weight(
                name="real_kernel", shape=shape, initializer=self._initializers["real"]
            )
        if self.mode != "real":
            self.imag_kernel = self.add_weight(
                name="imag_kernel", shape=shape, initializer=self._initializers["imag"]
            )

    def call(self, inputs: Any) -> Any:
        signal = jnp.asarray(inputs)
        if self.data_format == "channels_last":
            signal = signal.swapaxes(1, 2)
        frames = self._framed(signal)
        # (batch, channels, frames, frequencies): a matrix product, whose gradient by the
        # kernel is one too; that of a convolution is slow in compiled loops on CPUs.
        real = None if self.mode == "imag" else frames @ self.real_kernel.value[:, 0]
        imaginary = None if self.mode == "real" else frames @ self.imag_kernel.value[:, 0]
        return self._arranged(self._of_mode(real, imaginary))

    def _framed(self, signal: Any) -> Any:
        time = signal.shape[-1]
        count = self._frames(time)
        if self.padding == "same":
            missing = max((count - 1) * self._step + self.frame_length - time, 0)
            signal = jnp.pad(signal, ((0, 0), (0, 0), (missing // 2, missing - missing // 2)))
        places = np.arange(count)[:, None] * self._step + np.arange(self.frame_length)
        return signal[..., places]

    def _frames(self, time: int) -> int:
        if self.padding == "same":
            return -(-time // self._step)
        return (time - self.frame_length) // self._step + 1

    def _of_mode(self, real: Any, imaginary: Any) -> Any:
        if self.mode in ("real", "imag"):
            return real if self.mode == "real" else imaginary
        if self.mode == "angle":
            return jnp.arctan2(imaginary, real)
        if self.mode == "stft":
            return jnp.concatenate([real, imaginary], axis=-1)
        power = real**2 + imaginary**2
        if self.mode == "psd":
            # One side of the spectrum carries both, but for its ends.
            return power + jnp.pad(power[..., 1:-1], [(0, 0)] * 3 + [(1, 1)])
        magnitude = jnp.sqrt(jnp.maximum(power, config.epsilon()))
        if self.mode == "magnitude":
            return magnitude
        return jnp.log(jnp.maximum(magnitude, config.epsilon()))

    def _arranged(self, outputs: Any) -> Any:
        batch, channels, time, frequencies = outputs.shape
        last = self.data_format == "channels_last"
        if self.expand_dims:
            return outputs.transpose(0, 2, 3, 1) if last else outputs
        outputs = outputs.swapaxes(2, 3).reshape(batch, channels * frequencies, time)
        return outputs.swapaxes(1, 2) if last else outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        last = self.data_format == "channels_last"
        batch, time, channels = input_shape if last else (
            input_shape[0], input_shape[2], input_shape[1]
        )  # fmt: skip
        frames = None if time is None else self._frames(time)
        frequencies = (self._fft // 2 + 1) * (2 if self.mode == "stft" else 1)
        if self.expand_dims:
            own = (frames, frequencies, channels) if last else (channels, frames, frequencies)
            return (batch, *own)
        depth = channels * frequencies
        return (batch, frames, depth) if last else (batch, depth, frames)

    def get_config(self) -> dict[str, Any]:
        names = (
            "mode", "frame_length", "frame_step", "fft_length", "window", "periodic", "scaling",
            "padding", "data_format", "expand_dims",
        )  # fmt: skip
        return {**super().get_config(), **fields(self, *names)}
