"""Prodigy, D-Adaptation and schedule-free methods: 100 steps against their packages."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

from goldens import make_parameter_free
from goldens.parameter_free_cases import BETA_2, CASES, KEPT, STEPS, bowl, flat, noise, start
from talweg import optimizers
from talweg.core.variables import Variable
from talweg.optimizers.state import Factors, Tensor

FOLDER = Path(make_parameter_free.__file__).parent
RECORD = json.loads((FOLDER / "parameter_free.json").read_text())
TINY = 2.0**-20


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def run(init, step, look):
    """What `look(state, params)` gives after each of the steps, one compiled loop."""
    params = [jnp.asarray(p) for p in start()]
    noises = [jnp.stack(each) for each in zip(*map(noise, range(1, STEPS + 1)), strict=True)]

    def body(carry, noise):
        params, state = carry
        places = zip(params, bowl(), noise, strict=True)
        grads = [steep * (p - lowest) + added for p, (steep, lowest), added in places]
        params, state = step(grads, state, params)
        return (params, state), look(state, params)

    rows = jax.jit(lambda c: jax.lax.scan(body, c, noises)[1])((params, init(params)))
    return [np.stack([flat(row) for row in zip(*part, strict=True)]) for part in rows]


def points_of(optimizer, factors=None):
    """The weights that are trained and those to evaluate with, after each step."""
    part = lambda f: Factors(jnp.float32(f), jnp.float32(1), jnp.float32(1), False)  # noqa: E731
    tensors = [Tensor(str(i), factors=factors and part(factors[i])) for i in range(3)]

    def look(state, params):
        elsewhere = optimizer.evaluation_leaves(params, state, tensors)
        return params, elsewhere, optimizer.training_leaves(elsewhere, state, tensors)

    trained, evaluated, back = run(
        optimizer.init, lambda g, s, p: optimizer.update_leaves(g, s, p, tensors), look
    )
    np.testing.assert_allclose(back, trained, rtol=1e-12, atol=1e-12)
    return trained, evaluated


def run_talweg(name):
    cls, options, *_, factors = CASES[name]
    kept = np.array(KEPT) - 1
    trained, evaluated = points_of(getattr(optimizers, cls)(**options), factors)
    if "ScheduleFree" not in cls:
        return {name: trained[kept]}
    return {name: trained[kept], f"{name}_evaluated": evaluated[kept]}


def assert_rows(mine, theirs):
    """By the way gone since the start, which is 1e-6 at first: stricter than by the values."""
    ways, wanted = mine - flat(start()), theirs - flat(start())
    longest = np.abs(wanted).max(axis=1, keepdims=True)
    np.testing.assert_allclose(ways / longest, wanted / longest, rtol=0, atol=1e-5)


def assert_equal(found, wanted):
    for key, rows in found.items():
        assert_rows(rows, wanted[key])


@pytest.mark.sampled(count=8)
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_the_recorded_one(name):
    with np.load(FOLDER / "parameter_free.npz") as wanted:
        assert_equal(run_talweg(name), wanted)


def test_goldens_are_those_of_the_cases():
    assert all(RECORD[package] for package in ("prodigyopt", "dadaptation", "schedulefree"))
    assert tuple(RECORD["kept_steps"]) == KEPT
    described = json.loads(json.dumps(make_parameter_free.described()))
    assert RECORD["cases"] == described, "run `make goldens`"


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_that_of_the_package_now(name):
    for package in ("torch", CASES[name][2]):
        pytest.importorskip(package)
    assert_equal(run_talweg(name), make_parameter_free.run_reference(name))


def points_of_optax(transformation, evaluated=lambda state, params: params):
    def step(grads, state, params):
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return run(transformation.init, step, lambda s, p: (p, evaluated(s, p)))


BETAS = (0.875, BETA_2)
OURS = {"beta_1": 0.875, "beta_2": BETA_2, "d0": TINY, "use_bias_correction": True}


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (
            optimizers.Prodigy(**OURS),
            optax.contrib.prodigy(betas=BETAS, estim_lr0=TINY),
        ),
        (
            optimizers.Prodigy(
                0.5, **OURS, beta_3=0.9375, d_coef=2.0, weight_decay=0.125, safeguard_warmup=True
            ),
            optax.contrib.prodigy(
                0.5, BETAS, 0.9375, estim_lr0=TINY, estim_lr_coef=2.0, weight_decay=0.125,
                safeguard_warmup=True,
            ),
        ),
        (
            optimizers.DAdaptAdam(0.5, **OURS, weight_decay=0.125),
            optax.contrib.dadapt_adamw(0.5, BETAS, estim_lr0=TINY, weight_decay=0.125),
        ),
    ],
    ids=["prodigy", "prodigy_decay", "dadapt_adam"],
)  # fmt: skip
def test_trajectory_equals_optax(mine, theirs):
    assert_rows(points_of(mine)[0], points_of_optax(theirs)[0])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (
            optimizers.ScheduleFreeSGD(0.125, weight_decay=0.125),
            optax.contrib.schedule_free_sgd(0.125, b1=float(np.float32(0.9)), weight_decay=0.125),
        ),
        (
            optimizers.ScheduleFreeAdamW(0.125, 0.875, BETA_2, weight_decay=0.125),
            optax.contrib.schedule_free_adamw(0.125, b1=0.875, b2=BETA_2, weight_decay=0.125),
        ),
    ],
    ids=["sgd", "adamw"],
)
def test_both_points_of_schedule_free_equal_optax(mine, theirs):
    # Without a warm-up: optax's starts its two clocks one step apart.
    wanted = points_of_optax(theirs, optax.contrib.schedule_free_eval_params)
    for mine_at, theirs_at in zip(points_of(mine), wanted, strict=True):
        assert_rows(mine_at, theirs_at)


def test_the_estimate_grows_to_the_size_of_the_distance():
    # f(p) = |p - 10| from 0; the estimate is twice the paper's lower bound.
    optimizer = optimizers.DAdaptSGD()
    p = jnp.zeros(())
    state, update = optimizer.init(p), jax.jit(optimizer.update)
    estimates = []
    for _ in range(200):
        p, state = update(jnp.sign(p - 10.0), state, p)
        estimates.append(float(state.shared.distance))
    assert estimates == sorted(estimates)
    assert 1.0 < estimates[-1] <= 20.0


def test_decay_follows_the_rate_that_was_found():
    for optimizer in (
        optimizers.Prodigy(weight_decay=0.5, d0=TINY),
        optimizers.DAdaptSGD(weight_decay=0.5, d0=TINY),
        optimizers.DAdaptAdam(weight_decay=0.5, d0=TINY),
    ):
        p = jnp.ones(())
        p, _ = jax.jit(optimizer.update)(jnp.ones(()), optimizer.init(p), p)
        # As large as the step itself, 1e-6; at the rate 1, half of p would be gone.
        assert 0.0 < 1 - float(p) < 4 * TINY, type(optimizer).__name__


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, of its own variables
def test_state_of_schedule_free_adamw_stands_where_keras_keeps_it():
    shapes = [(3, 4), (4,)]
    theirs = keras.optimizers.ScheduleFreeAdamW()
    theirs.build(
        [keras.Variable(np.ones(s, "float32"), name=f"v{i}") for i, s in enumerate(shapes)]
    )
    mine = optimizers.ScheduleFreeAdamW()
    mine.build([Variable(np.ones(s, "float32"), name=f"v{i}") for i, s in enumerate(shapes)])
    expected = [(v.path, tuple(v.shape)) for v in theirs.variables]
    assert [(v.path, tuple(v.shape)) for v in mine.variables][: len(expected)] == expected
    assert [v.path.split("/")[-1] for v in mine.variables[len(expected) :]] == [
        "weight_sum", "largest_rate",
    ]  # fmt: skip
    for variable, reference in zip(mine.variables, theirs.variables, strict=False):
        np.testing.assert_array_equal(variable.numpy(), np.asarray(reference.value))
    assert mine.get_config().keys() == theirs.get_config().keys()


def test_warmed_up_schedule_free_weighs_the_first_points_less():
    optimizer = optimizers.ScheduleFreeSGD(1.0, warmup_steps=4)
    p = jnp.ones(())
    state = optimizer.init(p)
    sums = []
    for _ in range(6):
        p, state = optimizer.update(jnp.zeros(()), state, p)
        sums.append(float(state.shared.weight_sum))
    np.testing.assert_allclose(np.diff([0.0, *sums]), [1 / 16, 4 / 16, 9 / 16, 1, 1, 1])
