"""The modern optimizers, 100 steps, against optax live and PyTorch's packages as recorded."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from goldens import make_modern
from goldens.modern_cases import CASES, KEPT, flat, problem
from talweg import optimizers
from talweg.optimizers import schedules
from talweg.optimizers.state import tensors_of

FOLDER = Path(make_modern.__file__).parent
RECORD = json.loads((FOLDER / "modern.json").read_text())
NAMES = [
    "AMSGrad", "AdaBelief", "RAdam", "Yogi", "NovoGrad", "LARS",
    "ADOPT", "Adan", "AdEMAMix", "MARS", "Rprop", "ASGD",
]  # fmt: skip


def trajectory(optimizer, grads=None, params=None):
    """Parameters, and state, after each step."""
    start, recorded = problem()
    params = [jnp.asarray(p) for p in (start if params is None else params)]
    grads = recorded if grads is None else grads

    def body(carry, gradient):
        params, state = carry
        carry = optimizer.update(gradient, state, params)
        return carry, carry

    stacked = [np.stack(each) for each in zip(*grads, strict=True)]
    run = jax.jit(lambda p: jax.lax.scan(body, (p, optimizer.init(p)), stacked)[1])
    return run(params)


def rows(params):
    """One row for each kept step, as in the goldens."""
    return np.stack([flat([np.asarray(p[step - 1]) for p in params]) for step in KEPT])


# -- recorded ------------------------------------------------------------------------


@pytest.mark.sampled(count=8)
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_the_recorded_one(name):
    cls, options, *_ = CASES[name]
    with np.load(FOLDER / "modern.npz") as file:
        recorded = dict(file)
    params, state = trajectory(getattr(optimizers, cls)(**options))
    np.testing.assert_allclose(rows(params), recorded[name], rtol=1e-5, atol=2e-6)
    if cls == "ASGD":
        averages = rows([slots.average for slots in state.slots])
        np.testing.assert_allclose(averages, recorded[f"{name}_average"], rtol=1e-5, atol=2e-6)


def test_goldens_are_those_of_the_cases():
    assert RECORD["torch"]
    assert RECORD["pytorch_optimizer"]
    assert tuple(RECORD["kept_steps"]) == KEPT
    assert RECORD["cases"] == json.loads(json.dumps(make_modern.described())), "run `make goldens`"


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_recorded_trajectory_is_the_one_of_now(name):
    pytest.importorskip(CASES[name][2])
    with np.load(FOLDER / "modern.npz") as file:
        recorded = dict(file)
    for key, value in make_modern.run_reference(name).items():
        np.testing.assert_allclose(value, recorded[key], rtol=1e-5, atol=2e-6)


# -- optax ---------------------------------------------------------------------------


def uncorrected_amsgrad(rate):
    """optax's AMSGrad as in the paper, with the corrections of Keras and PyTorch."""

    def corrected(count):
        t = count + 1.0
        return rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)

    return optax.amsgrad(corrected, bias_correction_mu=False, bias_correction_nu=False)


def yogi_from(start, rate):
    scale = optax.scale_by_yogi(initial_accumulator_value=start)
    return optax.chain(scale, optax.scale_by_learning_rate(rate))


PAIRS = [
    (optimizers.AMSGrad(0.003), uncorrected_amsgrad(0.003)),
    (optimizers.AdaBelief(0.003), optax.adabelief(0.003)),
    (optimizers.AdaBelief(0.003, epsilon=1e-3), optax.adabelief(0.003, eps=1e-3, eps_root=1e-3)),
    (optimizers.RAdam(0.003), optax.radam(0.003)),
    (optimizers.RAdam(0.01, 0.8, 0.9, epsilon=1e-2), optax.radam(0.01, 0.8, 0.9, eps=1e-2)),
    (optimizers.Yogi(0.01), optax.yogi(0.01)),
    (optimizers.Yogi(0.01, initial_accumulator_value=0.0), yogi_from(0.0, 0.01)),
    (optimizers.NovoGrad(0.01, 0.9, 0.25, 1e-6), optax.novograd(0.01)),
    (optimizers.NovoGrad(0.01, epsilon=0.1), optax.novograd(0.01, 0.95, 0.98, eps=0.1)),
    (optimizers.LARS(10.0), optax.lars(10.0)),
    (
        optimizers.LARS(2.0, trust_coefficient=0.01, epsilon=0.1, nesterov=True),
        optax.lars(2.0, trust_coefficient=0.01, eps=0.1, nesterov=True),
    ),
    (optimizers.LARS(10.0, momentum=0.0), optax.lars(10.0, momentum=0.0)),
    (optimizers.ADOPT(0.003), optax.contrib.adopt(0.003)),
    (
        optimizers.ADOPT(0.003, 0.8, 0.99, epsilon=0.1, clip=False),
        optax.contrib.adopt(0.003, 0.8, 0.99, eps=0.1, use_clipping=False),
    ),
    # At other betas optax mistakes the paper's beta_2 for the code's: see adan.py.
    (optimizers.Adan(0.003, beta_2=0.5), optax.adan(0.003, b2=0.5, eps_root=0.0)),
    (optimizers.AdEMAMix(0.003), optax.contrib.ademamix(0.003)),
    (
        optimizers.AdEMAMix(0.003, beta_3=0.99, alpha=8.0, epsilon=1e-3, weight_decay=0.1),
        optax.contrib.ademamix(0.003, b3=0.99, alpha=8.0, eps=1e-3, weight_decay=0.1),
    ),
]


@pytest.mark.sampled(count=8)
@pytest.mark.parametrize(("mine", "theirs"), PAIRS, ids=lambda value: type(value).__name__)
def test_trajectory_equals_optax(mine, theirs):
    start, grads = problem()

    def body(carry, gradient):
        params, state = carry
        updates, state = theirs.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    params = [jnp.asarray(p) for p in start]
    stacked = [np.stack(each) for each in zip(*grads, strict=True)]
    expected = jax.jit(lambda p: jax.lax.scan(body, (p, theirs.init(p)), stacked)[1])(params)
    for x, y in zip(trajectory(mine)[0], expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=2e-6)


def test_every_modern_optimizer_has_a_reference():
    compared = {type(mine).__name__ for mine, _ in PAIRS} | {case[0] for case in CASES.values()}
    assert compared == set(NAMES)


def test_rprop_equals_optax_which_is_one_call_late():
    # While no sign turns: at a turn, the late step of optax is lost.
    grads = [[np.float32([1.0, -2.0])]] * 10
    mine, _ = trajectory(optimizers.Rprop(0.1), grads, [np.zeros(2, "float32")])
    theirs = optax.rprop(0.1)
    p, state = jnp.zeros(2), theirs.init(jnp.zeros(2))
    late = []
    for [g] in grads:
        updates, state = theirs.update(jnp.asarray(g), state)
        p = p + updates
        late.append(p)
    np.testing.assert_allclose(mine[0][:-1], late[1:], rtol=1e-6)


# -- what each of them promises --------------------------------------------------------


def test_amsgrad_is_adam_with_amsgrad():
    mine, _ = trajectory(optimizers.AMSGrad(0.01, 0.8, 0.99, 1e-3))
    same, _ = trajectory(optimizers.Adam(0.01, 0.8, 0.99, 1e-3, amsgrad=True))
    for x, y in zip(mine, same, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("beta_2", [0.0, 0.9, 0.999, 0.9999])
def test_radam_knows_the_length_of_its_average(beta_2):
    optimizer = optimizers.RAdam(beta_2=beta_2)
    zeros = [[np.zeros(1, "float32")]] * 3000
    _, state = trajectory(optimizer, zeros, [np.zeros(1, "float32")])
    b, t = np.float64(np.float32(beta_2)), np.arange(1.0, 3001.0)
    expected = 2 / (1 - b) - 1 - 2 * t * b**t / (1 - b**t)
    rho = 2 * state.shared.age / state.shared.weight - 1
    np.testing.assert_allclose(rho, expected, rtol=2e-4)


def test_ademamix_warms_up_from_a_beta_of_zero():
    optimizer = optimizers.AdEMAMix(beta_1=0.0, alpha_warmup=10, beta_3_warmup=10)
    params, state = trajectory(optimizer)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, state)))


def test_ademamix_takes_up_beta_3_when_warm():
    _, grads = problem()
    slow = np.zeros((3, 4))
    for t, (g, *_) in enumerate(grads, 1):
        a = min(t / 10, 1)
        half_life = (1 - a) * np.log(0.5) / np.log(0.9) + a * np.log(0.5) / np.log(0.99)
        beta = 0.5 ** (1 / half_life)
        slow = beta * slow + (1 - beta) * g
    optimizer = optimizers.AdEMAMix(beta_3=0.99, beta_3_warmup=10)
    _, state = trajectory(optimizer)
    np.testing.assert_allclose(state.slots[0].slow_momentum[-1], slow, rtol=1e-4, atol=1e-5)


def test_mars_keeps_no_gradient_of_vectors():
    params, _ = problem()
    kept = [s.previous_gradient is not None for s in optimizers.MARS().init(params).slots]
    assert kept == [True, False, False]
    everywhere = optimizers.MARS(optimize_1d=True).init(params).slots
    assert all(s.previous_gradient is not None for s in everywhere)


def test_rprop_follows_its_rate():
    grads, start = [[np.ones(1, "float32")]] * 6, [np.zeros(1, "float32")]
    factors = 1.2 ** np.arange(1, 6)
    constant, _ = trajectory(optimizers.Rprop(0.1), grads, start)
    np.testing.assert_allclose(-np.diff(constant[0][:, 0]), 0.1 * factors, rtol=1e-5)
    halved = schedules.PiecewiseConstantDecay([2], [0.1, 0.05])
    moved, _ = trajectory(optimizers.Rprop(halved), grads, start)
    rates = [0.1, 0.1, 0.05, 0.05, 0.05]
    np.testing.assert_allclose(-np.diff(moved[0][:, 0]), rates * factors, rtol=1e-5)


def test_rprop_starts_from_a_rate_of_zero():
    warmed = schedules.PiecewiseConstantDecay([1], [0.0, 0.1])
    grads = [[np.ones(1, "float32")]] * 40
    optimizer = optimizers.Rprop(warmed, step_max=0.5)
    params, _ = trajectory(optimizer, grads, [np.zeros(1, "float32")])
    steps = -np.diff(params[0][:, 0])
    assert params[0][1, 0] == 0
    np.testing.assert_allclose(steps[-1], 0.5, rtol=1e-5)


# -- the average of ASGD ---------------------------------------------------------------


def leaves(way, params, state):
    return way(params, state, tensors_of(params))


def asgd(**options):
    optimizer = optimizers.ASGD(0.1, **{"t0": 5, **options})
    params, states = trajectory(optimizer)
    last = [p[-1] for p in params]
    # NumPy: outside of compiled code, each shape would be a program of its own.
    return (
        optimizer,
        params,
        last,
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[-1]), states),
    )


def test_asgd_is_evaluated_at_the_mean_of_its_path():
    # Also with weight decay, which moves the weights outside the rule.
    optimizer, params, last, state = asgd(weight_decay=0.5)
    evaluated = leaves(optimizer.evaluation_leaves, last, state)
    for x, path in zip(evaluated, params, strict=True):
        # Until step t0 + 2 the average is the weight itself.
        np.testing.assert_allclose(x, np.mean(np.asarray(path[6:]), axis=0), rtol=1e-5, atol=1e-6)


def test_asgd_finds_its_way_back_to_the_bit():
    optimizer, _, last, state = asgd()
    evaluated = leaves(optimizer.evaluation_leaves, last, state)
    assert not np.array_equal(evaluated[0], last[0])
    for p, back in zip(last, leaves(optimizer.training_leaves, evaluated, state), strict=True):
        np.testing.assert_array_equal(p, back)


def test_asgd_keeps_a_change_of_the_weights():
    optimizer, _, last, state = asgd()
    evaluated = leaves(optimizer.evaluation_leaves, last, state)
    changed = leaves(optimizer.training_leaves, [x + 10 for x in evaluated], state)
    for p, x in zip(last, changed, strict=True):
        np.testing.assert_allclose(x, p + 10, rtol=1e-6)


def test_asgd_before_its_start_is_evaluated_where_it_trains():
    optimizer, _, last, state = asgd(t0=1000)
    for p, x in zip(last, leaves(optimizer.evaluation_leaves, last, state), strict=True):
        np.testing.assert_array_equal(p, x)
