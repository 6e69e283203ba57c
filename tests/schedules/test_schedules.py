"""Schedules against Keras and optax, and the laws that all of them keep."""

import dataclasses
import inspect
import math

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg import schedules
from talweg.core.serialization import (
    custom_object_scope,
    deserialize_keras_object,
    serialize_keras_object,
)
from talweg.core.variables import Variable

reference = keras.optimizers.schedules
STEPS = np.arange(1000)

# Each with its options on and off; the values are those of a config.
CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "decay_rate": 0.9}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 70, "decay_rate": 0.9, "staircase": True},
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.3, "decay_steps": 11, "decay_rate": 0.5}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.3, "decay_steps": 11, "decay_rate": 0.5, "staircase": True},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [100, 110, 700], "values": [1.0, 0.5, 0.2, 0.1]}),
    ("PiecewiseConstantDecay", {"boundaries": [500], "values": [1.0, 2.0], "name": "p"}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 300}),
    (
        "PolynomialDecay",
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 300,
            "end_learning_rate": 0.01,
            "power": 0.5,
            "cycle": True,
        },
    ),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 300, "end_learning_rate": 1.0, "power": 2.0},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 600}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 600, "alpha": 0.1}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.01,
            "decay_steps": 600,
            "alpha": 0.2,
            "warmup_target": 0.5,
            "warmup_steps": 150,
        },
    ),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 600, "warmup_target": 0.5},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 60}),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 60,
            "t_mul": 1.0,
            "m_mul": 0.8,
            "alpha": 0.05,
        },
    ),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 60,
            "t_mul": 1.5,
            "m_mul": 0.5,
            "alpha": 0.1,
        },
    ),
]
each_case = pytest.mark.parametrize(
    ("name", "config"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
)
# The schedules of Keras; test_more_schedules.py has the others.
EXPORTED = {
    name: getattr(schedules, name)
    for name in schedules.__all__
    if inspect.isclass(getattr(reference, name, None)) and name != "LearningRateSchedule"
}


def make(name, config):
    return EXPORTED[name](**config)


def test_every_exported_schedule_has_a_case():
    assert {name for name, _ in CASES} == set(EXPORTED)
    assert set(EXPORTED) == {n for n in dir(reference) if n[0].isupper()} - {"LearningRateSchedule"}


@each_case
def test_equals_keras_at_a_thousand_steps(name, config):
    expected = jax.jit(jax.vmap(getattr(reference, name)(**config)))(STEPS)
    got = make(name, config)(STEPS)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", EXPORTED)
def test_signature_is_that_of_keras(name):
    def arguments(cls):
        return [(p.name, p.kind, p.default) for p in inspect.signature(cls).parameters.values()]

    assert arguments(EXPORTED[name]) == arguments(getattr(reference, name))


@each_case
def test_config_and_record_equal_those_of_keras(name, config):
    ours, theirs = make(name, config), getattr(reference, name)(**config)
    assert ours.get_config() == theirs.get_config()
    assert schedules.serialize(ours) == reference.serialize(theirs)
    for record in (reference.serialize(theirs), serialize_keras_object(ours)):
        assert schedules.deserialize(record) == ours
        assert deserialize_keras_object(record) == ours
    assert reference.deserialize(schedules.serialize(ours)).get_config() == ours.get_config()


@each_case
def test_an_array_of_steps_gives_what_scalars_give(name, config):
    schedule = make(name, config)
    steps = [0, 1, 59, 60, 61, 149, 150, 299, 300, 301, 999]
    one_by_one = [schedule(step) for step in steps]
    assert all(rate.shape == () and rate.dtype == jnp.float32 for rate in one_by_one)
    table = np.array([*steps, 0]).reshape(3, 4)
    np.testing.assert_allclose(
        schedule(table).ravel()[:-1], np.array(one_by_one), rtol=1e-5, atol=1e-8
    )


@each_case
def test_jit_equals_eager_and_the_type_of_the_step_does_not_matter(name, config):
    schedule = make(name, config)
    eager = schedule(STEPS)
    for dtype in (np.int32, np.float32):
        traced = jax.jit(schedule)(STEPS.astype(dtype))
        np.testing.assert_allclose(traced, eager, rtol=1e-5, atol=1e-7)
    variable = Variable(3, dtype="int32")
    assert float(schedule(variable)) == pytest.approx(float(eager[3]), rel=1e-6)


def test_optax_agrees():
    pairs = [
        (
            schedules.ExponentialDecay(0.1, 70, 0.9, staircase=True),
            optax.exponential_decay(0.1, 70, 0.9, staircase=True),
        ),
        (
            schedules.PolynomialDecay(0.1, 300, 0.01, power=2.0),
            optax.polynomial_schedule(0.1, 0.01, 2.0, 300),
        ),
        (
            schedules.CosineDecay(0.1, 600, alpha=0.1),
            optax.cosine_decay_schedule(0.1, 600, alpha=0.1),
        ),
        (
            schedules.CosineDecay(0.01, 600, alpha=0.1, warmup_target=0.5, warmup_steps=150),
            optax.warmup_cosine_decay_schedule(0.01, 0.5, 150, 750, end_value=0.05),
        ),
        # optax changes at the boundary, Keras after it.
        (
            schedules.PiecewiseConstantDecay([99, 499], [1.0, 0.5, 0.05]),
            optax.piecewise_constant_schedule(1.0, {100: 0.5, 500: 0.1}),
        ),
    ]
    for ours, theirs in pairs:
        expected = jax.vmap(theirs)(jnp.asarray(STEPS))
        np.testing.assert_allclose(ours(STEPS), expected, rtol=1e-5, atol=1e-7)


rates = st.floats(0.0, 10.0, allow_subnormal=False, width=32)
lengths = st.integers(1, 2000)


@given(rates, lengths, st.floats(0.5, 1.0), st.booleans(), st.integers(0, 5000))
def test_exponential_decay_is_its_formula(rate, length, factor, staircase, step):
    progress = step // length if staircase else step / length
    got = float(schedules.ExponentialDecay(rate, length, factor, staircase)(step))
    assert got == pytest.approx(rate * factor**progress, rel=1e-3, abs=1e-30)


@given(rates, lengths, st.floats(0.0, 5.0), st.booleans(), st.integers(0, 5000))
def test_inverse_time_decay_is_its_formula(rate, length, factor, staircase, step):
    progress = step // length if staircase else step / length
    got = float(schedules.InverseTimeDecay(rate, length, factor, staircase)(step))
    assert got == pytest.approx(rate / (1 + factor * progress), rel=1e-5)


@given(st.lists(st.integers(0, 3000), unique=True, max_size=5), st.data())
def test_piecewise_constant_is_the_value_of_its_interval(boundaries, data):
    boundaries = sorted(boundaries)
    size = len(boundaries) + 1
    values = data.draw(st.lists(rates, min_size=size, max_size=size))
    step = data.draw(st.sampled_from([*boundaries, *(b + 1 for b in boundaries), 0, 3001]))
    expected = values[sum(step > b for b in boundaries)]
    schedule = schedules.PiecewiseConstantDecay(boundaries, values)
    assert float(schedule(step)) == float(schedule(float(step))) == np.float32(expected)


@given(rates, rates, lengths, st.floats(0.1, 4.0), st.booleans(), st.integers(0, 5000))
def test_polynomial_decay_stays_between_its_ends(rate, end, length, power, cycle, step):
    schedule = schedules.PolynomialDecay(rate, length, end, power, cycle)
    low, high = min(rate, end), max(rate, end)
    assert low * (1 - 1e-5) - 1e-6 <= float(schedule(step)) <= high * (1 + 1e-5) + 1e-6
    assert float(schedule(0)) == pytest.approx(rate, rel=1e-5, abs=1e-6)
    assert float(schedule(length)) == pytest.approx(end, rel=1e-3, abs=1e-3)


@given(rates, rates, lengths, lengths, st.floats(0.0, 1.0), st.integers(0, 5000))
def test_cosine_decay_is_its_formula(rate, target, length, warmup, alpha, step):
    schedule = schedules.CosineDecay(rate, length, alpha, warmup_target=target, warmup_steps=warmup)
    if step < warmup:
        expected = rate + (target - rate) * step / warmup
    else:
        fraction = min(step - warmup, length) / length
        expected = target * (alpha + (1 - alpha) * (1 + math.cos(math.pi * fraction)) / 2)
    assert float(schedule(step)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(
    st.integers(1, 50),
    st.sampled_from([1.0, 1.1, 1.5, 2.0, 3.0, 10.0]),
    st.floats(0.1, 1.0),
    st.integers(0, 4),
)
def test_restarts_begin_at_their_height(length, t_mul, m_mul, i):
    begin = sum(length * t_mul**k for k in range(i))
    schedule = schedules.CosineDecayRestarts(1.0, length, t_mul, m_mul)
    # A hair after the restart, since a fractional boundary may round to before it.
    near = float(schedule(begin * (1 + 1e-6)))
    assert near == pytest.approx(m_mul**i, rel=2e-2)


@pytest.mark.parametrize(("length", "t_mul"), [(10, 10.0), (10, 2.0), (97, 1.0), (7, 3.0)])
def test_restarts_are_on_their_step_compiled_too(length, t_mul):
    # Compiled, Keras is a step late for the first of these: its rate at step 10 is 0.
    schedule = schedules.CosineDecayRestarts(1.0, length, t_mul)
    begins = np.cumsum([0, *(int(length * t_mul**k) for k in range(6))])
    np.testing.assert_allclose(schedule(begins), 1.0, atol=1e-5)
    np.testing.assert_allclose(jax.jit(schedule)(begins), 1.0, atol=1e-5)
    assert np.all(jax.jit(schedule)(begins[1:4] - 1) < 0.2)


def test_integers_as_rates_do_not_turn_the_schedule_into_integers():
    schedule = schedules.CosineDecay(0, 100, warmup_target=1, warmup_steps=10)
    assert schedule(5).dtype == jnp.float32
    assert float(schedule(5)) == 0.5
    config = schedules.CosineDecay(np.float32(0.5), np.int64(100)).get_config()
    assert type(config["initial_learning_rate"]) is float
    assert type(config["decay_steps"]) is int


def test_large_steps_are_compared_exactly():
    schedule = schedules.PiecewiseConstantDecay([2**24, 2**40], [1.0, 0.5, 0.25])
    assert float(schedule(2**24)) == 1.0
    assert float(schedule(2**24 + 1)) == 0.5
    assert float(schedules.PiecewiseConstantDecay([], [0.5])(7)) == 0.5


def numbers_of(cls):
    return [f for f in dataclasses.fields(cls) if "declaration" in f.metadata]


@pytest.mark.parametrize("name", sorted(set(EXPORTED) - {"PiecewiseConstantDecay"}))
def test_every_invalid_value_is_refused_by_name(name):
    config = next(config for case, config in CASES if case == name)
    refused = 0
    for entry in numbers_of(EXPORTED[name]):
        interval = entry.metadata["declaration"].interval
        wrong = ["1", [0.1], True] if interval else [1, "yes"]
        for value in [*(interval.outside() if interval else ()), *wrong]:
            with pytest.raises((ValueError, TypeError), match=f"{name}: {entry.name} must be"):
                EXPORTED[name](**{**config, entry.name: value})
            refused += 1
    assert refused >= 10


@pytest.mark.parametrize(
    ("boundaries", "values", "message"),
    [
        ([1, 2], [1.0, 2.0], "values must be of length 3"),
        ([2, 2], [1.0, 2.0, 3.0], "boundaries must be strictly increasing"),
        ([2, 1], [1.0, 2.0, 3.0], "boundaries must be strictly increasing"),
        ([1], [1.0, -2.0], r"values\[1\] must be in \[0, 1e10\]"),
        ([math.nan], [1.0, 2.0], r"boundaries\[0\] must be in"),
        (5, [1.0, 2.0], "boundaries must be a list"),
        ([1], "ab", "values must be a list"),
    ],
)
def test_impossible_pieces_are_refused(boundaries, values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        schedules.PiecewiseConstantDecay(boundaries, values)


def test_warmup_steps_without_a_target_are_pointed_out():
    with pytest.warns(UserWarning, match="no effect without warmup_target"):
        schedules.CosineDecay(0.1, 10, warmup_steps=5)


def test_schedules_are_frozen_and_hashable():
    for name, config in CASES:
        schedule = make(name, config)
        with pytest.raises(dataclasses.FrozenInstanceError):
            schedule.name = "other"
        assert {schedule: 1}[make(name, config)] == 1


class Triangle(schedules.LearningRateSchedule):
    def __init__(self, peak):
        self.peak = peak

    def __call__(self, step):
        return self.peak * jnp.minimum(step, 10 - step)

    def get_config(self):
        return {"peak": self.peak}


def test_a_users_subclass_works_written_the_keras_way():
    schedule = Triangle(0.5)
    np.testing.assert_allclose(jax.jit(schedule)(jnp.arange(4)), [0.0, 0.5, 1.0, 1.5])
    record = schedules.serialize(schedule)
    assert record["registered_name"] == "Triangle"
    assert schedules.deserialize(record, {"Triangle": Triangle}).peak == 0.5
    with custom_object_scope({"Triangle": Triangle}):
        assert schedules.deserialize(record).peak == 0.5
    with pytest.raises(ValueError, match="Unknown schedule 'Triangle'"):
        schedules.deserialize(record)


def test_a_users_subclass_may_be_a_dataclass_or_derive_from_ours():
    @dataclasses.dataclass(frozen=True)
    class Root(schedules.LearningRateSchedule):
        rate: float = 1.0

        def __call__(self, step):
            return self.rate / jnp.sqrt(step + 1.0)

    class Late(schedules.CosineDecay):
        def __init__(self, delay):
            super().__init__(0.1, 100)
            self.delay = delay

        def __call__(self, step):
            return super().__call__(jnp.maximum(jnp.asarray(step) - self.delay, 0))

    assert Root(2.0).get_config() == {"rate": 2.0}
    assert float(Root.from_config({"rate": 2.0})(3)) == 1.0
    assert float(Late(10)(60)) == pytest.approx(0.05)


def test_a_bare_schedule_says_what_is_missing():
    bare = schedules.LearningRateSchedule()
    with pytest.raises(NotImplementedError, match="__call__"):
        bare(0)
    with pytest.raises(NotImplementedError, match="get_config"):
        bare.get_config()
