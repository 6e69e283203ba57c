"""Initializers whose spread follows the shape, so that signals keep their variance.

Var[w] = scale / n,    n = fan_in, fan_out, or their mean
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from talweg.core import errors
from talweg.initializers.base import RandomInitializer, float_dtype
from talweg.initializers.random import normal, truncated_normal, uniform

# The standard deviation of a standard normal cut at two: sqrt(1 - 4 φ(2) / (2 Φ(2) - 1)).
_STDDEV_OF_TRUNCATED = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Draws of variance scale / n, with n the number of inputs, outputs, or their mean.

    Args:
        scale: positive; 1.0 by default.
        mode: n is "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (or "normal") cuts at two standard deviations and
            widens to keep the variance; "untruncated_normal"; "uniform" on ±sqrt(3 scale / n).
        seed: see `RandomInitializer`.
        input_axes: the axes of the kernel that count as inputs, where not the usual ones
            (all but the last).
        output_axes: those that count as outputs; given together with `input_axes`.

    Raises:
        ValueError: an argument is none of these.

    >>> VarianceScaling(2.0, "fan_in", "uniform", seed=1)((3, 2)).shape
    (3, 2)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        owner = type(self).__name__
        if not scale > 0:
            raise errors.invalid(owner, "scale", "positive", scale)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise errors.invalid(owner, "mode", "'fan_in', 'fan_out' or 'fan_avg'", mode)
        law = str(distribution).lower()
        law = "truncated_normal" if law == "normal" else law
        if law not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise errors.invalid(
                owner,
                "distribution",
                "'truncated_normal', 'untruncated_normal' or 'uniform'",
                distribution,
            )
        self.scale = scale
        self.mode = mode
        self.distribution = law
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        dtype = float_dtype(self, dtype)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        generator = self.generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return uniform(generator, shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return normal(generator, shape, 0.0, math.sqrt(variance), dtype)
        stddev = math.sqrt(variance) / _STDDEV_OF_TRUNCATED
        return truncated_normal(generator, shape, 0.0, stddev, dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """The numbers of inputs and outputs that one unit of a kernel of `shape` connects.

    >>> compute_fans((3, 3, 8, 16))
    (72, 144)
    """
    shape = tuple(int(size) for size in shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


class _Named(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution are given by its name."""

    law: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        super().__init__(*self.law, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


class GlorotNormal(_Named):
    """Truncated normal of variance 2 / (fan_in + fan_out), also named Xavier.

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    Glorot & Bengio, AISTATS 2010.

    >>> GlorotNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    law = (1.0, "fan_avg", "truncated_normal")


class GlorotUniform(_Named):
    """Uniform on ±sqrt(6 / (fan_in + fan_out)), also named Xavier; the layers' default.

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    Glorot & Bengio, AISTATS 2010.

    >>> bool(abs(GlorotUniform(seed=1)((3, 3))).max() <= 1.0)
    True
    """

    law = (1.0, "fan_avg", "uniform")


class HeNormal(_Named):
    """Truncated normal of variance 2 / fan_in, for rectified units.

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    He, Zhang, Ren & Sun, ICCV 2015, arXiv:1502.01852.

    >>> HeNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    law = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform on ±sqrt(6 / fan_in), for rectified units.

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    He, Zhang, Ren & Sun, ICCV 2015, arXiv:1502.01852.

    >>> bool(abs(HeUniform(seed=1)((6, 3))).max() <= 1.0)
    True
    """

    law = (2.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal of variance 1 / fan_in; what self-normalizing networks start from.

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998.

    >>> LecunNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    law = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform on ±sqrt(3 / fan_in).

    Args: seed, input_axes, output_axes: see `VarianceScaling`.

    LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998.

    >>> bool(abs(LecunUniform(seed=1)((3, 3))).max() <= 1.0)
    True
    """

    law = (1.0, "fan_in", "uniform")
