"""Draws inside a step: the bits of Keras on JAX."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg.core.random import SeedGenerator, set_random_seed
from talweg.ops import random

LOGITS = np.log(np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]], "float32"))
X = jnp.arange(24.0).reshape(6, 4)
DRAWS = {
    "normal": [{"shape": (3, 4)}, {"shape": (5,), "mean": 2.0, "stddev": 0.3, "dtype": "float16"}],
    "uniform": [{"shape": (3, 4)}, {"shape": (2,), "minval": -1.0, "maxval": 3.0}],
    "randint": [{"shape": (3, 4), "minval": -2, "maxval": 9}],
    "truncated_normal": [{"shape": (3, 4)}, {"shape": (7,), "mean": 1.0, "stddev": 2.0}],
    "categorical": [{"logits": LOGITS, "num_samples": 5}],
    "shuffle": [{"x": X}, {"x": X, "axis": 1}],
    "dropout": [
        {"inputs": X, "rate": 0.4},
        {"inputs": X, "rate": 0.4, "noise_shape": (None, 1)},
        {"inputs": X, "rate": 0.0},
        {"inputs": X, "rate": 1.0},
    ],
    "gamma": [{"shape": (3,), "alpha": 0.7}],
    "beta": [{"shape": (3,), "alpha": 0.7, "beta": 2.0}],
    "binomial": [{"shape": (4,), "counts": [5.0, 9.0, 1.0, 3.0], "probabilities": 0.3}],
}


def test_every_draw_of_keras_is_here_and_compared():
    names = {n for n in dir(keras.random) if n[0] != "_"}
    assert set(random.__all__) == names
    assert names - {"SeedGenerator"} == set(DRAWS)


@pytest.mark.sampled(count=5)
@pytest.mark.parametrize("name", sorted(DRAWS))
def test_the_same_seed_gives_the_bits_of_keras(name):
    for arguments in DRAWS[name]:
        ours = getattr(random, name)(**arguments, seed=7)
        theirs = getattr(keras.random, name)(**arguments, seed=7)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_a_generator_draws_the_sequence_of_keras():
    ours, theirs = SeedGenerator(11), keras.random.SeedGenerator(11)
    for _ in range(3):
        np.testing.assert_array_equal(
            random.uniform((4,), seed=ours), keras.random.uniform((4,), seed=theirs)
        )


def test_without_a_seed_draws_differ_and_follow_the_global_seed():
    set_random_seed(5)
    first, second = random.normal((4,)), random.normal((4,))
    assert not np.array_equal(first, second)
    set_random_seed(5)
    np.testing.assert_array_equal(first, random.normal((4,)))


def test_a_generator_comes_back_from_the_record_of_keras():
    record = keras.saving.serialize_keras_object(keras.random.SeedGenerator(7, name="noise"))
    generator = talweg.saving.deserialize_keras_object(record)
    assert isinstance(generator, SeedGenerator)
    assert (generator.name, generator.state.numpy().tolist()) == ("noise", [7, 0])
    assert talweg.saving.serialize_keras_object(generator) == record
    with pytest.raises(TypeError, match="sed"):
        SeedGenerator(sed=7)


def test_draws_without_a_meaning_are_refused():
    with pytest.raises(ValueError, match="dtype"):
        random.randint((2,), 0, 3, dtype="float32")
    for shape in [(5,), (5, 5, 5)]:
        with pytest.raises(ValueError, match="logits"):
            random.categorical(np.ones(shape), 2)
