"""Draws of the facade, which are made outside of compiled steps."""

from typing import Any

import numpy as np

from talweg.core import loans
from talweg.core.random import draw_seed, host_generator

_generators: dict[int, np.random.Generator] = {}


def outside_of_steps(name: str) -> None:
    """Refuse a draw inside a step: with no state of its own it becomes a constant there.

    Raises:
        RuntimeError: the step is being traced.
    """
    if loans.current_loan.get() is not None:
        raise RuntimeError(
            f"tf.{name} inside a layer would draw the same numbers at every step. Give the "
            "layer self.seed = keras.random.SeedGenerator() and call "
            "keras.random.normal(shape, seed=self.seed)."
        )


def drawn(name: str, seed: Any) -> np.random.Generator:
    """The generator of a seed, which goes on from call to call; a new one where there is none."""
    outside_of_steps(name)
    if seed is None:
        return host_generator(draw_seed())
    return _generators.setdefault(int(seed), host_generator(int(seed)))
