"""Gaussian noise during training, and penalties on what passes through."""

import math
from typing import Any

import jax

from talweg import regularizers
from talweg.core.random import SeedGenerator
from talweg.layers.arguments import fields, number
from talweg.layers.elementwise import Elementwise


class GaussianNoise(Elementwise):
    """x + `stddev` ε with ε ~ N(0, 1), during training only.

    Args:
        stddev: standard deviation of the noise, >= 0. Keras refuses more than 1.
        seed: an integer for noise that repeats; with the same seed it is Keras's.

    >>> import numpy as np
    >>> GaussianNoise(0.1)(np.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = number("GaussianNoise", "stddev", stddev)
        self.seed = seed
        if stddev > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        key = self.seed_generator.next()
        return inputs + self.stddev * jax.random.normal(key, inputs.shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "stddev", "seed")}


class GaussianDropout(Elementwise):
    """x (1 + sqrt(rate / (1 - rate)) ε) with ε ~ N(0, 1), during training only.

    Mean and variance are those of dropout. Srivastava et al., JMLR 15 (2014), section 10.

    Args:
        rate: of the equivalent dropout, in [0, 1).
        seed: an integer for noise that repeats.

    >>> import numpy as np
    >>> GaussianDropout(0.1)(np.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = number("GaussianDropout", "rate", rate, below=1.0)
        self.seed = seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        key = self.seed_generator.next()
        return inputs * (1.0 + stddev * jax.random.normal(key, inputs.shape, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "rate", "seed")}


class ActivityRegularization(Elementwise):
    """The identity, which adds `l1` sum |x| + `l2` sum x², per sample, to the loss.

    Args:
        l1, l2: the factors, >= 0.

    >>> import numpy as np
    >>> layer = ActivityRegularization(l2=0.5)
    >>> _ = layer(np.array([[2.0], [0.0]]))
    >>> float(layer.losses[0])
    1.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = number("ActivityRegularization", "l1", l1)
        self.l2 = number("ActivityRegularization", "l2", l2)

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **fields(self, "l1", "l2")}
        del config["activity_regularizer"]
        return config
