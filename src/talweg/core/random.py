"""Seeds: one global seed, host generators drawn from it, and seed cells for layers.

Two sources, both with the same bits in every process:

- On the host (initial weights, shuffles) NumPy's PCG64, seeded by a tuple of integers.
  Nothing is compiled to make a weight.
- Inside a step (dropout, noise) JAX's threefry, keyed by a `SeedGenerator`: a variable
  that counts its own draws, so that it is saved, resumed and vmapped like any other.
"""

import contextlib
import copy
import random
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from talweg.core import errors, names
from talweg.core.loans import only_shapes
from talweg.core.variables import Variable


class _Stream:
    """The global sequence of seeds."""

    generator = np.random.default_rng()


def set_random_seed(seed: Any) -> None:
    """Make everything that follows repeat: weights, shuffles, dropout.

    Seeds Python's and NumPy's global generators too, as Keras does.

    Args:
        seed: an integer in [0, 2**32).
    """
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise errors.invalid("set_random_seed", "seed", "an integer in [0, 2**32)", seed)
    random.seed(int(seed))
    np.random.seed(int(seed))
    _Stream.generator = np.random.default_rng(int(seed))


@contextlib.contextmanager
def preserved() -> Generator[None]:
    """Put all global generators back to where they were when the block ends."""
    kept = (random.getstate(), np.random.get_state(), _Stream.generator)
    _Stream.generator = copy.deepcopy(_Stream.generator)  # draws would move the one that is kept
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        _Stream.generator = kept[2]


def global_state() -> dict[str, Any]:
    """Where all global generators stand, ready for JSON."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [kind, [int(key) for key in np.asarray(keys)], position, has_gauss, cached],
        "talweg": _Stream.generator.bit_generator.state,
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Put all global generators where `global_state` found them."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), position, has_gauss, cached))
    generator = np.random.default_rng()
    generator.bit_generator.state = state["talweg"]
    _Stream.generator = generator


def draw_seed() -> int:
    """The next seed of the global sequence, in [0, 2**31)."""
    return int(_Stream.generator.integers(2**31))


def host_generator(*seed: int) -> np.random.Generator:
    """A NumPy generator whose bits depend on the integers given and on nothing else."""
    parts = [int(part) for part in seed]
    if min(parts, default=0) < 0:
        raise ValueError(f"A seed must not be negative, got {min(parts)}. Choose one from 0 on.")
    return np.random.default_rng(parts)


class SeedGenerator:
    """A source of keys for random operations inside a layer.

    Its state is a variable `[seed, count]`; each draw uses it as the key and counts on.
    With the same seed the keys are those of Keras on JAX.

    Args:
        seed: an integer; the next of the global sequence where None.
        name: its name.
    """

    def __init__(self, seed: Any = None, name: str | None = None):
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise errors.wrong_type("SeedGenerator", "seed", "an integer", seed)
        self.name = name or names.auto_name("SeedGenerator")
        self._initial_seed = seed
        with names.name_scope(self.name):
            self.state = Variable(
                np.array([draw_seed() if seed is None else seed % 2**32, 0], np.uint32),
                dtype="uint32",
                trainable=False,
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> jax.Array:
        """The key of the next draw, a raw threefry key of shape (2,)."""
        key = self.state.value
        self.state.assign(key + jnp.array([0, 1], jnp.uint32))
        return key

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        return cls(**config)


def key_of(seed: "SeedGenerator | int | None") -> jax.Array:
    """A key from a seed: a generator's next, an integer's own, or the global next.

    Raises:
        ValueError: no seed inside a compiled function, where the draw would be made once
            and the same noise come back at every step.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    key = jnp.array([draw_seed() if seed is None else seed % 2**32, 0], jnp.uint32)
    if seed is None and isinstance(key, Tracer) and not only_shapes():
        raise errors.invalid(
            "A random operation inside a compiled function", "seed", "given", None,
            "Make a SeedGenerator in the layer's __init__ (self.seed = "
            "keras.random.SeedGenerator()) and pass seed=self.seed.",
        )  # fmt: skip
    return key
