"""The schedules that Keras lacks: against torch (recorded), optax, and the papers' formulas."""

import dataclasses
import inspect
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldens import make_schedules
from goldens.schedule_cases import CASES, RATE, STEPS
from talweg.core.serialization import custom_object_scope
from talweg.optimizers import SGD
from talweg.optimizers.schedules import (
    REX,
    CosineDecay,
    CosineDecayRestarts,
    Cyclic,
    ExponentialDecay,
    Join,
    LearningRateSchedule,
    Linear,
    MultiStepDecay,
    Noam,
    OneCycle,
    PiecewiseConstantDecay,
    Product,
    StepDecay,
    WarmRestarts,
    WarmupStableDecay,
    deserialize,
    join,
    serialize,
)
from talweg.schedules import _catalog

FOLDER = Path(make_schedules.__file__).parent
RECORD = json.loads((FOLDER / "schedules.json").read_text())
ALL_STEPS = np.arange(STEPS)

WARMUP = Linear(0.25 * RATE, RATE, 200)
MOMENTUM = {"initial_value": 0.95, "end_value": 0.95}
LINEAR_CYCLE = {"pct_start": 0.21, "anneal": "linear"}
THREE_LINES = {"pct_start": 0.4, "anneal": "linear", "three_phase": True}
# The cases of torch, written in talweg.
TORCH = {
    "one_cycle": OneCycle(0.5, STEPS),
    "one_cycle/momentum": OneCycle(0.85, STEPS, **MOMENTUM),
    "one_cycle_linear": OneCycle(0.5, STEPS, initial_value=0.05, end_value=0.0005, **LINEAR_CYCLE),
    "one_cycle_linear/momentum": OneCycle(0.85, STEPS, **LINEAR_CYCLE, **MOMENTUM),
    "one_cycle_three_phase": OneCycle(0.5, STEPS, three_phase=True),
    "one_cycle_three_phase/momentum": OneCycle(0.85, STEPS, three_phase=True, **MOMENTUM),
    "one_cycle_three_phase_linear": OneCycle(0.5, STEPS, **THREE_LINES),
    "one_cycle_three_phase_linear/momentum": OneCycle(0.85, STEPS, **THREE_LINES, **MOMENTUM),
    "triangular": Cyclic(0.01, 0.3, 70, 130),
    "triangular/momentum": Cyclic(0.95, 0.85, 70, 130),
    "triangular2": Cyclic(0.01, 0.3, 70, 130, "triangular2"),
    "triangular2/momentum": Cyclic(0.95, 0.85, 70, 130, "triangular2"),
    "exp_range": Cyclic(0.01, 0.3, 70, 130, "exp_range", 0.997),
    "exp_range/momentum": Cyclic(0.95, 0.85, 70, 130, "exp_range", 0.997),
    "step": StepDecay(RATE, 130, 0.3),
    "multi_step": MultiStepDecay(RATE, [100, 101, 700], 0.2),
    "restarts": WarmRestarts(CosineDecay(RATE, 90, alpha=0.01), 90, t_mul=1),
    "restarts_longer": WarmRestarts(CosineDecay(RATE, 30), 30, t_mul=2),
    "restarts_three": WarmRestarts(CosineDecay(RATE, 10, alpha=0.1), 10, t_mul=3),
    "linear": WARMUP,
    "sequential": join([WARMUP, CosineDecay(RATE, 1000)], [200]),
    "sequential_three": join([WARMUP, RATE, StepDecay(RATE, 100, 0.5)], [250, 600]),
    "chained": WARMUP * StepDecay(1.0, 130, 0.7),
    "chained_exponential": WARMUP * ExponentialDecay(1.0, 1, 0.995),
}
OPTAX = {
    "linear": (Linear(0.3, 0.01, 700), optax.linear_schedule(0.3, 0.01, 700)),
    # optax is at its peak and at its end one step later than torch.
    "cosine one-cycle": (
        OneCycle(0.5, 1001, pct_start=301 / 1001),
        optax.cosine_onecycle_schedule(1000, 0.5, pct_start=0.3),
    ),
    "linear one-cycle": (
        OneCycle(0.5, 1001, pct_start=301 / 1001, anneal="linear", three_phase=True),
        optax.linear_onecycle_schedule(1000, 0.5, pct_start=0.3, pct_final=0.6),
    ),
    "join": (
        join([Linear(0.0, 0.3, 100), 0.3, CosineDecay(0.3, 500)], [100, 400]),
        optax.join_schedules(
            [
                optax.linear_schedule(0.0, 0.3, 100),
                optax.constant_schedule(0.3),
                optax.cosine_decay_schedule(0.3, 500),
            ],
            [100, 400],
        ),
    ),
    "warm-up": (Linear(0.01, 0.3, 120), optax.warmup_constant_schedule(0.01, 0.3, 120)),
    "warm-up and cosine": (
        join([Linear(0.01, 0.3, 120), CosineDecay(0.3, 880, alpha=0.1)], [120]),
        optax.warmup_cosine_decay_schedule(0.01, 0.3, 120, 1000, end_value=0.03),
    ),
    "warm-up and exponential": (
        join([Linear(0.01, 0.3, 120), ExponentialDecay(0.3, 50, 0.8)], [120]),
        optax.warmup_exponential_decay_schedule(0.01, 0.3, 120, 50, 0.8),
    ),
    "steps": (
        MultiStepDecay(0.3, [100, 250, 900], 0.5),
        optax.piecewise_constant_schedule(0.3, dict.fromkeys([100, 250, 900], 0.5)),
    ),
}


def rex(t, initial, end, budget):
    """Chen et al., equation 2: the profile (1 - z) / (1/2 + 1/2 (1 - z))."""
    z = np.minimum(t / budget, 1.0)
    return end + (initial - end) * (1 - z) / (0.5 + 0.5 * (1 - z))


def noam(t, model_size, warmup, scale):
    """Vaswani et al., equation 3, with step_num from 1."""
    s = t + 1.0
    return scale * model_size**-0.5 * np.minimum(s**-0.5, s * warmup**-1.5)


FALLS = {
    "1-sqrt": lambda x: 1 - np.sqrt(x),
    "linear": lambda x: 1 - x,
    "cos": lambda x: (1 + np.cos(np.pi * x)) / 2,
}


def trapezoid(t, initial, peak, end, warmup, stable, decay, fall):
    """Hägele et al., section 3: warm-up, constant, cooldown."""
    x = np.clip((t - warmup - stable) / decay, 0, 1)
    rising = initial + (peak - initial) * t / max(warmup, 1)
    return np.where(t < warmup, rising, end + (peak - end) * FALLS[fall](x))


PAPERS = {
    "rex": (REX(0.3, 1000), rex(ALL_STEPS, 0.3, 0.0, 1000)),
    "rex to an end": (REX(0.3, 777, 0.02), rex(ALL_STEPS, 0.3, 0.02, 777)),
    "noam": (Noam(512, 400), noam(ALL_STEPS, 512, 400, 1.0)),
    "noam scaled": (Noam(100, 4000, 2.0), noam(ALL_STEPS, 100, 4000, 2.0)),
    **{
        f"trapezoid {fall}": (
            WarmupStableDecay(0.3, 50, 650, 300, fall, 0.01, 0.001),
            trapezoid(ALL_STEPS, 0.01, 0.3, 0.001, 50, 650, 300, fall),
        )
        for fall in FALLS
    },
    "trapezoid without warm-up": (
        WarmupStableDecay(0.3, 0, 650, 300),
        trapezoid(ALL_STEPS, 0.0, 0.3, 0.0, 0, 650, 300, "1-sqrt"),
    ),
}
EVERY = [*TORCH.values(), *(pair[0] for pair in (OPTAX | PAPERS).values())]


def test_every_schedule_that_keras_lacks_is_compared():
    ours = {name for name in _catalog.classes() if not hasattr(keras.optimizers.schedules, name)}
    assert ours == {type(schedule).__name__ for schedule in EVERY} - {"CosineDecay"}


def both(schedule):
    return schedule(ALL_STEPS), jax.jit(schedule)(ALL_STEPS)


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch(name):
    with np.load(FOLDER / "schedules.npz") as file:
        recorded = dict(file)
    assert set(recorded) == set(TORCH)
    for values in both(TORCH[name]):
        np.testing.assert_allclose(values, recorded[name], rtol=1e-5, atol=1e-8)


def test_goldens_are_those_of_the_cases():
    assert RECORD["torch"]
    assert (RECORD["steps"], RECORD["rate"]) == (STEPS, RATE)
    assert RECORD["cases"] == json.loads(json.dumps(CASES)), "run make_schedules.py"


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_equals_torch_now(name, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(FOLDER))
    for case, values in make_schedules.run_torch(name).items():
        np.testing.assert_allclose(TORCH[case](ALL_STEPS), values, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", OPTAX)
def test_equals_optax(name):
    ours, theirs = OPTAX[name]
    expected = jax.jit(jax.vmap(theirs))(jnp.asarray(ALL_STEPS))
    for values in both(ours):
        # optax takes differences of equals in its cosines; ours are held to torch's above.
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=5e-8)


@pytest.mark.parametrize("name", PAPERS)
def test_equals_the_formula_of_its_paper(name):
    schedule, expected = PAPERS[name]
    for values in both(schedule):
        np.testing.assert_allclose(values, expected, rtol=2e-6, atol=1e-12)


def test_restarts_of_a_cosine_are_those_of_keras():
    for t_mul, m_mul in ((1.0, 0.9), (2.0, 0.5), (1.5, 1.0)):
        ours = WarmRestarts(CosineDecay(0.3, 60), 60, t_mul, m_mul)
        theirs = CosineDecayRestarts(0.3, 60, t_mul, m_mul)
        np.testing.assert_allclose(ours(ALL_STEPS), theirs(ALL_STEPS), rtol=1e-4, atol=1e-6)


def far(step):
    return jnp.int32(step)


# A change, the step before it and the step of it, far beyond the integers of float32.
CHANGES = {
    "step": (StepDecay(1.0, 2**29 + 1, 0.5), 2**29 + 1, 1.0, 0.5),
    "many steps": (Cyclic(0.0, 1.0, 3, 4), 7 * 10**7, 0.25, 0.0),
    "multi-step": (MultiStepDecay(1.0, [2**30 + 1], 0.5), 2**30 + 1, 1.0, 0.5),
    "join": (join([1.0, Linear(0.5, 1.0, 10)], [2**30 + 1]), 2**30 + 1, 1.0, 0.5),
    "trapezoid": (WarmupStableDecay(1.0, 0, 2**30, 1), 2**30 + 1, 1.0, 0.0),
    "restarts": (WarmRestarts(Linear(1.0, 0.5, 3), 3, t_mul=1), 3 * 10**8, 2 / 3, 1.0),
    "long restarts": (WarmRestarts(StepDecay(1.0, 2, 0.5), 3, 2.0), 3 * (2**28 - 1), 0.5, 1.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_comes_at_its_step_however_far(name):
    schedule, step, before, at = CHANGES[name]
    for call in (schedule, jax.jit(schedule)):
        assert float(call(far(step - 1))) == pytest.approx(before, rel=1e-6)
        assert float(call(far(step))) == pytest.approx(at, rel=1e-6)


@pytest.mark.parametrize("growth", [(1, 1), (11, 10), (3, 2), (2, 1), (3, 1), (10, 1)])
@pytest.mark.parametrize("period", [1, 7, 10, 96])
def test_every_restart_is_at_the_first_whole_step_of_its_period(period, growth):
    over, under = growth
    schedule = WarmRestarts(Linear(1.0, 0.0, period), period, over / under)
    begin, begins = 0, []
    for i in range(8):  # in whole numbers: the ceiling of the sum of the lengths
        begin += period * over**i * under ** (7 - i)
        begins.append(-(-begin // under**7))
    steps = np.minimum(begins, 2**24 + 1)
    reached = steps == begins
    late = 1.0 / period  # a fractional beginning is less than a step before its first step
    before, at = np.asarray(jax.jit(schedule)(np.array([steps - 1, steps])))
    assert np.all(at[reached] >= 1.0 - late - 1e-6)
    assert np.all(before[reached] <= late + 1e-6)


@given(
    st.floats(0, 1, width=32),
    st.floats(0, 1, width=32),
    st.integers(1, 3000),
    st.integers(0, 2**31 - 1),
)
def test_a_line_is_between_its_ends_and_reaches_them(initial, end, length, step):
    line = Linear(initial, end, length)
    assert float(line(0)) == pytest.approx(initial, rel=1e-6)
    assert float(line(length)) == float(line(2**31 - 1)) == pytest.approx(end, rel=1e-6)
    low, high = sorted((initial, end))
    assert low * (1 - 1e-6) <= float(line(jnp.int32(step))) <= high * (1 + 1e-6)


@given(st.integers(1, 400), st.floats(0, 0.5), st.booleans(), st.sampled_from(["cos", "linear"]))
def test_one_cycle_stays_between_its_values_and_ends_at_its_end(total, pct, three, anneal):
    schedule = OneCycle(1.0, total, pct, anneal, 0.5, 0.25, three)
    values = np.asarray(schedule(jnp.arange(405)))
    assert np.all((values >= 0.25 - 1e-6) & (values <= 1.0 + 1e-6))
    np.testing.assert_allclose(values[total - 1 :], 0.25, rtol=1e-5)


def test_a_schedule_that_waits_for_the_next_to_begin_does_not_ask_it_about_negative_steps():
    asked = []

    class Recording(LearningRateSchedule):
        def __call__(self, step):
            asked.append(np.asarray(step))
            return jnp.sqrt(1.0 * step)

    values = join([0.5, Recording()], [10])(jnp.arange(20))
    np.testing.assert_allclose(values[:10], 0.5)
    np.testing.assert_allclose(values[10:], np.sqrt(np.arange(10)), rtol=1e-6)
    assert np.min(asked) == 0


class Root(LearningRateSchedule):
    """A schedule of the user's."""

    def __init__(self, peak):
        self.peak = peak

    def __call__(self, step):
        return self.peak / jnp.sqrt(step + 1.0)

    def get_config(self):
        return {"peak": self.peak}


NESTED = [
    join([WARMUP, 0.1, 0.5 * OneCycle(0.3, 500)], [100, 200]),
    WarmRestarts(join([WARMUP, CosineDecay(RATE, 50)], [10]), 60, 1.5, 0.9),
    Product([WarmRestarts(StepDecay(1.0, 7), 20), Cyclic(0.1, 0.5, 9), 0.5]),
]


@pytest.mark.parametrize("schedule", [*EVERY, *NESTED], ids=lambda s: type(s).__name__)
def test_config_and_record_make_an_equal_schedule(schedule):
    config = json.loads(json.dumps(schedule.get_config()))
    assert type(schedule).from_config(config) == schedule
    record = json.loads(json.dumps(serialize(schedule)))
    assert record["module"] == "keras.optimizers.schedules"
    assert deserialize(record) == schedule
    assert {schedule: 1}[deserialize(record)] == 1
    optimizer = SGD.from_config(json.loads(json.dumps(SGD(schedule).get_config())))
    assert optimizer.schedule == schedule


def test_a_users_schedule_travels_inside_others():
    schedule = join([WARMUP, 0.5 * Root(0.1)], [200])
    record = json.loads(json.dumps(serialize(schedule)))
    steps = jnp.arange(190, 210)
    expected = schedule(steps)
    assert np.array_equal(deserialize(record, {"Root": Root})(steps), expected)
    with custom_object_scope({"Root": Root}):
        assert np.array_equal(deserialize(record)(steps), expected)
    with pytest.raises(ValueError, match="Unknown class 'Root'"):
        deserialize(record)


def test_schedules_and_numbers_multiply():
    schedule = StepDecay(1.0, 10, 0.5)
    together = 0.5 * schedule * WARMUP * np.float32(2) * Root(1.0)
    expected = schedule(ALL_STEPS) * WARMUP(ALL_STEPS) / np.sqrt(ALL_STEPS + 1.0)
    np.testing.assert_allclose(together(ALL_STEPS), expected, rtol=1e-6)
    assert (schedule * WARMUP) * 2 == schedule * (WARMUP * 2)
    assert len(together.factors) == 5
    assert Product([0.5, 0.5])(jnp.arange(3)).shape == (3,)
    for other in ("a", None, [1.0], jnp.ones(2), lambda step: step):
        with pytest.raises(TypeError):
            schedule * other
        with pytest.raises(TypeError):
            other * schedule
    with pytest.raises(ValueError, match=r"Product: factors\[0\] must be in"):
        -1 * schedule


def test_numbers_of_a_join_are_constants_of_the_shape_of_the_steps():
    schedule = join([0.5, 0.25], [10])
    assert schedule(3).shape == ()
    assert schedule(jnp.zeros((2, 3), jnp.int32)).shape == (2, 3)
    assert schedule(3).dtype == jnp.float32
    assert [float(schedule(step)) for step in (9, 9.5, 10)] == [0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: join([], []), "Join: schedules must be a list of at least one"),
        (lambda: join([0.1, 0.2], []), "Join: boundaries must be of length 1"),
        (lambda: join([0.1, 0.2, 0.3], [5, 5]), "Join: boundaries must be strictly increasing"),
        (lambda: join([0.1, 0.2], [0]), r"Join: boundaries\[0\] must be in \(0, inf\)"),
        (lambda: join([0.1, "a"], [5]), r"Join: schedules\[1\] must be a number"),
        (lambda: join([0.1, lambda t: t], [5]), "A schedule is as good"),
        (lambda: join(WARMUP, []), "Join: schedules must be a list"),
        (lambda: join([True], []), r"Join: schedules\[0\] must be a number"),
        (lambda: Product([]), "Product: factors must be a list of at least one"),
        (lambda: Product([np.nan]), r"Product: factors\[0\] must be in"),
        (lambda: Product(WARMUP), "Product: factors must be a list"),
        (lambda: WarmRestarts(0.1, 10), "WarmRestarts: base must be a schedule"),
        (lambda: WarmRestarts(WARMUP, 10, 1.001), "t_mul must be 1, or at least 1.01"),
        (lambda: OneCycle(0.1, 10, 0.6, three_phase=True), r"pct_start must be in \[0, 0.5\]"),
        (lambda: OneCycle(0.1, 10, anneal="cosine"), "anneal must be 'cos' or 'linear'"),
        (lambda: Cyclic(0.1, 0.2, mode="exp"), "mode must be 'triangular' or 'triangular2' or"),
        (lambda: MultiStepDecay(0.1, [5, 4]), "milestones must be strictly increasing"),
        (lambda: MultiStepDecay(1.0, [1, 2], 1e6), "gamma must be so small that no value"),
    ],
)
def test_impossible_schedules_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_schedules_are_frozen():
    for schedule in EVERY:
        entry = dataclasses.fields(schedule)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(schedule, entry, 1.0)


def test_rate_and_momentum_go_through_one_cycle_together():
    optimizer = SGD(TORCH["one_cycle"], momentum=TORCH["one_cycle/momentum"])
    p, velocity = jnp.float32(1.0), 0.0
    state, expected = optimizer.init(p), 1.0
    for step in range(5):
        rate, momentum = (float(TORCH[n](step)) for n in ("one_cycle", "one_cycle/momentum"))
        velocity = momentum * velocity - rate * 0.5
        expected += velocity
        p, state = optimizer.update(jnp.float32(0.5), state, p)
    assert float(p) == pytest.approx(expected, rel=1e-6)


def test_piecewise_boundaries_of_any_size_are_exact():
    schedule = PiecewiseConstantDecay([-5, 2.5, 2**24 + 1, 2**40], [4.0, 3.0, 2.0, 1.0, 0.0])
    steps = jnp.array([0, 2, 3, 2**24 + 1, 2**24 + 2, 2**31 - 1], jnp.int32)
    assert schedule(steps).tolist() == [3.0, 3.0, 2.0, 2.0, 1.0, 1.0]
    assert MultiStepDecay(1.0, [-5, 2.5, 2**40], 0.5)(steps).tolist() == [0.5] * 2 + [0.25] * 4


def test_the_function_and_the_class_of_join_have_the_same_arguments():
    assert list(inspect.signature(join).parameters) == list(inspect.signature(Join).parameters)
