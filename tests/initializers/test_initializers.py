"""Initializers: distributions, configs and identifiers of Keras, drawn on the host."""

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg import initializers
from talweg.core.random import SeedGenerator, set_random_seed
from talweg.initializers.variance_scaling import compute_fans

KERNELS = [(4000, 50), (3, 3, 40, 80), (5, 60, 120), (20000,)]
RANDOM = {
    "RandomNormal": [{}, {"mean": 1.0, "stddev": 0.3}],
    "RandomUniform": [{}, {"minval": 1.0, "maxval": 3.0}],
    "TruncatedNormal": [{}, {"mean": -1.0, "stddev": 2.0}],
    "VarianceScaling": [
        {"scale": 2.0, "mode": mode, "distribution": law}
        for mode in ("fan_in", "fan_out", "fan_avg")
        for law in ("truncated_normal", "untruncated_normal", "uniform", "normal")
    ]
    + [{"input_axes": [0], "output_axes": [1]}],
    "GlorotNormal": [{}],
    "GlorotUniform": [{}, {"input_axes": [0], "output_axes": [1]}],
    "HeNormal": [{}],
    "HeUniform": [{}],
    "LecunNormal": [{}],
    "LecunUniform": [{}],
}
EXACT = {
    "Constant": [({"value": 3.5}, (2, 3)), ({"value": [1.0, 2.0]}, (3, 2)), ({}, (2,))],
    "Zeros": [({}, (2, 3))],
    "Ones": [({}, (2, 3))],
    "Identity": [({"gain": 2.0}, (3, 3)), ({}, (2, 4))],
    "STFT": [
        ({}, (8, 1, 5)),
        ({"side": "imag", "window": "hamming", "scaling": "spectrum"}, (8, 1, 5)),
        ({"window": None}, (8, 1, 5)),
        ({"scaling": None, "periodic": True}, (8, 1, 9)),
    ],
}
BASES = {"Initializer", "RandomInitializer"}


def _pair(name, **arguments):
    return getattr(initializers, name)(**arguments), getattr(keras.initializers, name)(**arguments)


def test_every_exported_class_is_compared():
    exported = {getattr(initializers, n).__name__ for n in initializers.__all__ if n[0].isupper()}
    assert exported - BASES == set(RANDOM) | set(EXACT) | {"Orthogonal"}


def test_every_name_of_keras_is_exported():
    assert {n for n in dir(keras.initializers) if n[0] != "_"} <= set(initializers.__all__)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_values_equal_those_of_keras(name):
    for arguments, shape in EXACT[name]:
        ours, theirs = _pair(name, **arguments)
        for dtype in ("float32", "float16"):
            values = ours(shape, dtype=dtype)
            assert isinstance(values, np.ndarray)
            assert values.dtype == dtype
            if dtype == "float32":
                np.testing.assert_allclose(values, theirs(shape, dtype), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_mean_spread_and_bounds_equal_those_of_keras(name):
    for arguments in RANDOM[name]:
        for shape in KERNELS[:1] if "input_axes" in arguments else KERNELS:
            ours, theirs = _pair(name, seed=3, **arguments)
            a, b = ours(shape), np.asarray(theirs(shape))
            assert isinstance(a, np.ndarray)
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            spread = b.std()
            assert abs(a.mean() - b.mean()) < 6 * spread * np.sqrt(2 / a.size)
            assert a.std() == pytest.approx(spread, rel=0.03)
            if "untruncated_normal" not in arguments.values() and name != "RandomNormal":
                assert abs(a - b.mean()).max() == pytest.approx(abs(b - b.mean()).max(), rel=0.02)


@given(st.lists(st.integers(1, 9), max_size=5))
def test_fans_are_those_of_keras(shape):
    from keras.src.initializers.random_initializers import compute_fans as reference

    assert compute_fans(shape) == reference(shape)
    if len(shape) == 3:
        assert compute_fans(shape, [0], [1, 2]) == reference(shape, [0], [1, 2])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 8), (5, 5)])
def test_orthogonal_kernels_are_orthonormal_times_the_gain(shape):
    q = initializers.Orthogonal(gain=2.0, seed=1)(shape).reshape(-1, shape[-1]) / 2
    small = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-5)


def test_orthogonal_matrices_have_no_preferred_sign():
    corner = [initializers.Orthogonal(seed=s)((2, 2))[0, 0] for s in range(400)]
    assert abs(np.mean(corner)) < 0.15


@pytest.mark.parametrize("name", [*RANDOM, "Orthogonal"])
def test_seeds_decide_the_draws(name):
    make = getattr(initializers, name)
    shape = (4, 5)
    fixed = make(seed=7)
    np.testing.assert_array_equal(fixed(shape), fixed(shape))
    np.testing.assert_array_equal(fixed(shape), make(seed=7)(shape))
    assert not np.array_equal(fixed(shape), make(seed=8)(shape))
    free = make()
    assert not np.array_equal(free(shape), free(shape))
    moving, again = make(seed=SeedGenerator(5)), make(seed=SeedGenerator(5))
    first = moving(shape)
    np.testing.assert_array_equal(first, again(shape))
    assert not np.array_equal(first, moving(shape))
    set_random_seed(1)
    one = make()(shape)
    set_random_seed(1)
    np.testing.assert_array_equal(one, make()(shape))


def test_draws_compile_nothing(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("compiled")

    monkeypatch.setattr(jax._src.compiler, "compile_or_get_cached", refuse)
    for name in [*RANDOM, "Orthogonal", "Zeros", "Ones", "Identity", "Constant"]:
        initializers.get(name)((7, 13), dtype="float32")
    initializers.GlorotUniform(seed=SeedGenerator(3))((7, 13))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_draws_come_in_the_type_asked_for(dtype):
    assert str(initializers.get("he_normal")((3, 4), dtype=dtype).dtype) == dtype


@pytest.mark.parametrize("name", [*RANDOM, *EXACT, "Orthogonal"])
def test_configs_are_those_of_keras_and_come_back(name):
    for arguments in [*RANDOM.get(name, []), *(a for a, _ in EXACT.get(name, [])), {}]:
        ours, theirs = _pair(name, **arguments)
        if name == "Identity":  # Keras forgets the gain.
            assert ours.clone().gain == ours.gain
            continue
        assert ours.get_config() == theirs.get_config()
        assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
        record = keras.initializers.serialize(theirs)
        back = initializers.deserialize(record)
        assert type(back) is type(ours)
        assert back.get_config() == ours.get_config()
        assert keras.initializers.deserialize(initializers.serialize(ours)).get_config() == (
            theirs.get_config()
        )
        assert ours.clone().get_config() == ours.get_config()


def test_a_seed_generator_survives_the_config():
    record = initializers.serialize(initializers.HeNormal(seed=SeedGenerator(4)))
    assert initializers.deserialize(record).seed.state.numpy().tolist() == [4, 0]


def test_identifiers_name_the_classes_that_keras_names():
    names = [n for n in dir(keras.initializers) if n[0] != "_"]
    others = ("get", "serialize", "deserialize", "Initializer")
    names = [n for n in names if n not in others and n.lower() != "constant"]
    for name in [*names, "normal", "uniform", "one", "zero"]:
        assert type(initializers.get(name)).__name__ == type(keras.initializers.get(name)).__name__
    # Keras finds "constant" and fails for want of a value.
    assert initializers.get("constant").value == 0.0
    assert initializers.get(None) is None
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    assert isinstance(initializers.deserialize("ones"), initializers.Ones)
    own = lambda shape, dtype=None: np.ones(shape)  # noqa: E731
    assert initializers.get(own) is own


def test_an_array_initializes_its_own_shape_only():
    fixed = initializers.get(np.array([[1, 2]]))
    assert fixed((1, 2), dtype="float32").dtype == "float32"
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        fixed((2, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda i: i.VarianceScaling(scale=0), "scale must be positive"),
        (lambda i: i.VarianceScaling(mode="fan"), "mode must be"),
        (lambda i: i.VarianceScaling(distribution="cauchy"), "distribution must be"),
        (lambda i: i.RandomNormal(stddev=-1.0), "stddev must be"),
        (lambda i: i.RandomUniform(1.0, 0.0), "maxval must be"),
        (lambda i: i.HeNormal(seed="x"), "seed must be"),
        (lambda i: i.HeNormal(seed=True), "seed must be"),
        (lambda i: i.STFT(side="left"), "side must be"),
        (lambda i: i.STFT(scaling="x"), "scaling must be"),
        (lambda i: i.STFT(window="no_such"), "window must be"),
        (lambda i: i.STFT(window=np.ones(3))((4, 1, 3)), "window must be"),
        (lambda i: i.Identity()((2, 2, 2)), "shape must be"),
        (lambda i: i.Orthogonal()((2,)), "shape must be"),
        (lambda i: i.HeNormal()((2, 2), dtype="int32"), "dtype must be"),
        (lambda i: i.Constant([1.0, 2.0])((3, 3)), "value must be"),
        (lambda i: i.get("glorot_unifrom"), "glorot_uniform"),
        (lambda i: i.get(3), "identifier must be"),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(initializers)
