"""Activations: the values, gradients and identifiers of Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import activations
from talweg.ops import KerasTensor

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6)).astype("float32") * 3)
FUNCTIONS = [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize")]
ARGUMENTS = {
    "celu": [{"alpha": 0.5}],
    "elu": [{"alpha": 0.5}],
    "gelu": [{"approximate": True}],
    "glu": [{"axis": 1}],
    "hard_shrink": [{"threshold": 1.0}],
    "leaky_relu": [{"negative_slope": 0.05}],
    "log_softmax": [{"axis": 0}],
    "relu": [
        {"negative_slope": slope, "max_value": top, "threshold": start}
        for slope in (0.0, 0.1)
        for top in (None, 6.0, 2.0)
        for start in (0.0, 0.5)
    ],
    "soft_shrink": [{"threshold": 1.0}],
    "softmax": [{"axis": 0}],
    "squareplus": [{"b": 1.0}],
    "threshold": [{"threshold": 0.5, "default_value": -1.0}],
}


def test_every_name_of_keras_is_exported():
    assert set(activations.__all__) == {n for n in dir(keras.activations) if n[0] != "_"}


# Keras's sparsemax is wrong: see tests/ops/test_parity.py.
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"sparsemax"}))
def test_values_and_gradients_equal_those_of_keras(name):
    defaults = [] if name == "threshold" else [{}]
    for arguments in defaults + ARGUMENTS.get(name, []):
        ours = lambda x: getattr(activations, name)(x, **arguments)  # noqa: B023, E731
        theirs = lambda x: getattr(keras.activations, name)(x, **arguments)  # noqa: B023, E731
        np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-6, atol=1e-6)
        weights = jnp.arange(ours(X).size, dtype="float32").reshape(ours(X).shape)
        slopes = [jax.grad(lambda x, f=f: (f(x) * weights).sum())(X) for f in (ours, theirs)]  # noqa: B023
        np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"glu", "threshold"}))
def test_half_types_and_symbolic_shapes_are_kept(name):
    function = getattr(activations, name)
    assert function(X.astype("bfloat16")).dtype == "bfloat16"
    spec = function(KerasTensor((None, 6)))
    assert (spec.shape, spec.dtype) == ((None, 6), "float32")


def test_identifiers_name_what_keras_names():
    for name in FUNCTIONS:
        ours, theirs = activations.get(name), keras.activations.get(name)
        assert ours is getattr(activations, name)
        assert activations.serialize(ours) == keras.activations.serialize(theirs)
        assert activations.deserialize(activations.serialize(ours)) is ours
    assert activations.get(None) is activations.linear
    assert activations.get("ReLU") is activations.relu
    own = lambda x: x  # noqa: E731
    assert activations.get(own) is own
    with pytest.raises(ValueError, match="'relu'"):
        activations.get("reluu")
    with pytest.raises(TypeError):
        activations.get(3)


def test_softmax_sums_to_one_and_sparsemax_too():
    for name in ("softmax", "sparsemax"):
        np.testing.assert_allclose(getattr(activations, name)(X).sum(-1), 1, atol=1e-5)
