"""Regularizers: the penalties, configs and identifiers of Keras."""

import jax
import keras
import numpy as np
import pytest

from talweg import regularizers
from talweg.core.variables import Variable

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
X[1] = 0.0
EXAMPLES = {
    "L1": [{}, {"l1": 0.3}, {"l1": 0}, {"l1": None}],
    "L2": [{}, {"l2": 0.3}, {"l2": None}],
    "L1L2": [{}, {"l1": 0.1}, {"l1": 0.1, "l2": 0.2}, {"l1": None, "l2": 0.2}],
    "OrthogonalRegularizer": [{}, {"factor": 0.5}, {"factor": 0.5, "mode": "columns"}],
}


def _pairs(name):
    for arguments in EXAMPLES[name]:
        yield (
            getattr(regularizers, name)(**arguments),
            getattr(keras.regularizers, name)(**arguments),
        )


def test_every_exported_class_is_compared():
    exported = {getattr(regularizers, n).__name__ for n in regularizers.__all__ if n[0].isupper()}
    assert exported - {"Regularizer"} == set(EXAMPLES)
    assert {n for n in dir(keras.regularizers) if n[0] != "_"} <= set(regularizers.__all__)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_penalties_and_gradients_equal_those_of_keras(name):
    for ours, theirs in _pairs(name):
        for x in (X, np.delete(X, 1, axis=0).astype("float16")):
            a, b = ours(jax.numpy.asarray(x)), theirs(jax.numpy.asarray(x))
            np.testing.assert_allclose(a, b, rtol=2e-3 if x.dtype == "float16" else 1e-6)
        slopes = jax.grad(ours.__call__)(X), jax.grad(theirs.__call__)(X)
        if name == "OrthogonalRegularizer" and ours.mode == "rows":
            # The row of zeros: Keras's gradient is NaN there.
            assert not np.any(slopes[0][1])
            slopes = [np.delete(slope, 1, axis=0) for slope in slopes]
        np.testing.assert_allclose(*slopes, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(ours(Variable(X)), theirs(jax.numpy.asarray(X)), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_configs_are_those_of_keras_and_come_back(name):
    for ours, theirs in _pairs(name):
        assert ours.get_config() == pytest.approx(theirs.get_config()) or name[0] == "O"
        record = keras.regularizers.serialize(theirs)
        ours_record = regularizers.serialize(ours)
        assert {k: v for k, v in ours_record.items() if k != "config"} == {
            k: v for k, v in record.items() if k != "config"
        }
        for key, value in record["config"].items():
            # Keras keeps some factors in float32.
            assert ours_record["config"][key] == (
                value if isinstance(value, str) else pytest.approx(value, rel=1e-6)
            )
        assert regularizers.deserialize(ours_record).get_config() == ours.get_config()
        assert type(regularizers.deserialize(record)) is type(ours)
        back = keras.regularizers.deserialize(ours_record)
        np.testing.assert_allclose(back(jax.numpy.asarray(X)), ours(X), rtol=1e-6)


def test_identifiers_name_the_classes_that_keras_names():
    names = ["l1", "l2", "l1_l2", "orthogonal_regularizer", "L1", "L2", "L1L2"]
    for name in names:
        if name == "l1_l2":  # Keras exports this name and cannot find it.
            assert isinstance(regularizers.get(name), regularizers.L1L2)
            continue
        theirs = keras.regularizers.get(name)
        assert type(regularizers.get(name)).__name__ == type(theirs).__name__
    assert regularizers.get(None) is None
    own = lambda x: 0.0  # noqa: E731
    assert regularizers.get(own) is own


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), "x", True])
@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("L1", "l1"),
        ("L2", "l2"),
        ("L1L2", "l1"),
        ("L1L2", "l2"),
        ("OrthogonalRegularizer", "factor"),
    ],
)
def test_impossible_factors_are_refused(name, argument, bad):
    with pytest.raises(ValueError, match=f"{name}: {argument} must be"):
        getattr(regularizers, name)(**{argument: bad})


def test_the_orthogonal_regularizer_refuses_what_has_no_angles():
    with pytest.raises(ValueError, match="mode"):
        regularizers.OrthogonalRegularizer(mode="diagonal")
    with pytest.raises(ValueError, match="matrix"):
        regularizers.OrthogonalRegularizer()(np.ones((2, 2, 2), "float32"))
    with pytest.raises(ValueError, match="two rows"):
        regularizers.OrthogonalRegularizer()(np.ones((1, 3), "float32"))
