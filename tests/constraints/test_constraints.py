"""Constraints: the projections, configs and identifiers of Keras."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg import constraints
from talweg.core.variables import Variable

W = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype("float32") * 2
W[..., 0] = 0.0
EXAMPLES = {
    "MaxNorm": [{}, {"max_value": 0.5}, {"max_value": 1.5, "axis": [0, 1, 2]}],
    "MinMaxNorm": [{}, {"min_value": 0.5, "max_value": 2.0, "rate": 0.3, "axis": 1}],
    "NonNeg": [{}],
    "UnitNorm": [{}, {"axis": [0, 1]}],
}


def _pairs(name):
    for arguments in EXAMPLES[name]:
        theirs = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
        yield getattr(constraints, name)(**arguments), getattr(keras.constraints, name)(**theirs)


def test_every_exported_class_is_compared():
    exported = {getattr(constraints, n).__name__ for n in constraints.__all__ if n[0].isupper()}
    assert exported - {"Constraint"} == set(EXAMPLES)
    assert {n for n in dir(keras.constraints) if n[0] != "_"} <= set(constraints.__all__)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_projections_equal_those_of_keras(name):
    for ours, theirs in _pairs(name):
        np.testing.assert_allclose(ours(W), theirs(W), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(ours(Variable(W)), theirs(W), rtol=1e-6, atol=1e-7)
        assert ours(W.astype("float16")).dtype == "float16"


@given(st.floats(0.1, 5.0), st.integers(0, 3))
def test_max_norm_bounds_every_norm_and_keeps_small_vectors(limit, axis):
    moved = np.asarray(constraints.MaxNorm(limit, axis)(W))
    before, after = (np.linalg.norm(w, axis=axis, keepdims=True) for w in (W, moved))
    assert after.max() <= limit * (1 + 1e-5)
    inside = np.broadcast_to(before <= limit, W.shape)
    np.testing.assert_allclose(moved[inside], W[inside], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_configs_are_those_of_keras_and_come_back(name):
    for ours, _ in _pairs(name):
        theirs = getattr(keras.constraints, name)(**ours.get_config())
        assert ours.get_config() == theirs.get_config()
        record = keras.constraints.serialize(theirs)
        assert constraints.serialize(ours) == record
        back = constraints.deserialize(record)
        assert back.get_config() == ours.get_config()
        np.testing.assert_array_equal(back(W), ours(W))


def test_identifiers_name_the_classes_that_keras_names():
    for name in ("max_norm", "min_max_norm", "non_neg", "unit_norm", "MaxNorm", "NonNeg"):
        theirs = keras.constraints.get(name)
        assert type(constraints.get(name)).__name__ == type(theirs).__name__
    assert constraints.get(None) is None
    with pytest.raises(ValueError, match="max_norm"):
        constraints.get("max_nrom")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("MaxNorm", {"max_value": -1}, "max_value must be"),
        ("MaxNorm", {"max_value": float("nan")}, "max_value must be"),
        ("MaxNorm", {"axis": "rows"}, "axis must be"),
        ("MinMaxNorm", {"min_value": -1}, "min_value must be"),
        ("MinMaxNorm", {"min_value": 2.0}, "max_value must be"),
        ("MinMaxNorm", {"rate": 1.5}, "rate must be"),
        ("UnitNorm", {"axis": 0.5}, "axis must be"),
    ],
)
def test_impossible_arguments_are_refused(name, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(constraints, name)(**arguments)
