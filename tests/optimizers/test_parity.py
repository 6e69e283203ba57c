"""Every optimizer and option, 100 steps, against Keras 3.15 and optax, relative 1e-5."""

import json
import re

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

from talweg import optimizers
from talweg.core.variables import Variable
from talweg.optimizers import schedules

STEPS = 100
# Compiling takes most of the time.
QUICKLY = {"xla_backend_optimization_level": 0}
SHAPES = ((2, 3, 4), (4,))
OWN = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True, "rho": 0.8, "momentum": 0.5}],
    "Adam": [{}, {"amsgrad": True, "beta_1": 0.8, "epsilon": 1e-3}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.0, "epsilon": 1e-4}],
    "Nadam": [{}, {"beta_1": 0.7, "beta_2": 0.9}],
    "AdamW": [{}, {"weight_decay": 0.1, "beta_1": 0.8, "amsgrad": True}],
    "Adamax": [{}, {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}],
    "Adadelta": [{}, {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3}],
    "Adafactor": [
        {},
        # Above 1/sqrt(t) from the second step on.
        {"learning_rate": 1.0, "relative_step": False},
        {
            "learning_rate": 0.1,
            "beta_2_decay": -0.5,
            "epsilon_1": 1e-3,
            "epsilon_2": 0.5,
            "clip_threshold": 0.3,
        },
    ],
    "Ftrl": [
        {},
        {"learning_rate": 0.1, "learning_rate_power": 0.0},
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.3,
            "initial_accumulator_value": 0.5,
            "l1_regularization_strength": 5.0,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.5,
        },
    ],
    "Lion": [{"beta_1": 1.0}, {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.8}],
    "Lamb": [{}, {"learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}],
}
# Those of Keras that are tested elsewhere, having no rule for one tensor, or not its numbers.
ELSEWHERE = {"Muon", "ScheduleFreeAdamW", "LossScaleOptimizer", "OptimizerMap", "MultiOptimizer"}
COMMON = [
    {"weight_decay": 0.01},
    {"clipnorm": 0.5},
    {"clipvalue": 0.1},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 4},
    {"gradient_accumulation_steps": 3, "use_ema": True, "weight_decay": 0.1, "clipnorm": 0.3},
    {"loss_scale_factor": 8.0},
]
CASES = [(name, options) for name, several in OWN.items() for options in several]
CASES += [("Adam", options) for options in COMMON]
# Without slots, and with a state shared by all tensors.
CASES += [("SGD", options) for options in COMMON[5:7]] + [("Nadam", COMMON[7])]
CASES += [
    (name, {**COMMON[7], "loss_scale_factor": 4.0, "learning_rate": rate})
    for name, rate in {
        "AdamW": 0.01, "Adamax": 0.01, "Adadelta": 1.0, "Adafactor": 0.1, "Ftrl": 0.1,
        "Lion": 0.01, "Lamb": 0.01,
    }.items()
]  # fmt: skip


def problem(shapes=SHAPES):
    rng = np.random.default_rng(7)
    params = [rng.normal(size=shape).astype("float32") for shape in shapes]
    grads = [
        [rng.normal(size=p.shape).astype("float32") * 10 ** rng.uniform(-2, 1) for p in params]
        for _ in range(STEPS)
    ]
    return params, [[np.float32(g) for g in step] for step in grads]


class InKeras:
    """An optimizer of Keras and its variables, with its step compiled."""

    def __init__(self, name, options, params):
        keras.backend.clear_session()
        self.variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(params)]
        self.optimizer = getattr(keras.optimizers, name)(**options)
        self.optimizer.build(self.variables)
        self.step = jax.jit(self.optimizer.stateless_apply, compiler_options=QUICKLY)

    def apply(self, gradient):
        state, params = [[v.value for v in part] for part in self.parts]
        for part, values in zip(self.parts, self.step(state, gradient, params)[::-1], strict=True):
            for variable, value in zip(part, values, strict=True):
                variable._value = value

    @property
    def parts(self):
        return self.optimizer.variables, self.variables

    def arrays(self):
        return [[np.asarray(v.value) for v in part] for part in self.parts]

    def assign(self, state, params):
        for part, values in zip(self.parts, (state, params), strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)


def assert_close(actual, expected, rtol=1e-5, atol=1e-6):
    """`atol` is in units of the largest value, where a tensor has values above 1."""
    for a, b in zip(actual, expected, strict=True):
        largest = max(1.0, float(np.max(np.abs(b))))
        np.testing.assert_allclose(np.asarray(a), b, rtol=rtol, atol=atol * largest)


# Keras reads its own variables in a way that NumPy 2 warns of.
@pytest.mark.sampled("name")
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_trajectory_state_and_config_equal_keras_and_move_both_ways(name, options):
    params, grads = problem()
    reference = InKeras(name, options, params)
    variables = [Variable(p, name=f"v{i}") for i, p in enumerate(params)]
    optimizer = getattr(optimizers, name)(**options)
    optimizer.build(variables)

    def step_both(gradients):
        for gradient in gradients:
            reference.apply(gradient)
            optimizer.apply(gradient)
            assert_close([v.numpy() for v in variables], reference.arrays()[1])
        state = reference.arrays()[0]
        assert [v.shape for v in optimizer.variables] == [v.shape for v in state]
        assert_close(optimizer.get_weights(), state, rtol=1e-5, atol=1e-5)

    step_both(grads)
    assert paths(optimizer) == paths(reference.optimizer)

    record = _json(optimizers.serialize(optimizer))
    assert record == _json(keras.optimizers.serialize(reference.optimizer))
    assert optimizers.deserialize(record).get_config() == optimizer.get_config()
    again = type(reference.optimizer).from_config(record["config"])
    assert again.get_config() == reference.optimizer.get_config()

    for gradient in grads[:5]:
        optimizer.apply(gradient)
    reference.assign(optimizer.get_weights(), [v.numpy() for v in variables])
    step_both(grads[5:15])
    for gradient in grads[15:20]:
        reference.apply(gradient)
    state, values = reference.arrays()
    optimizer.set_weights(state)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    step_both(grads[20:30])


def paths(optimizer):
    """Those of the state that Keras gives their own, with the optimizer's name in them.

    It has none for Nadam's product, and gives Adafactor's rows and columns the tensor's.
    """
    own = [v.path for v in optimizer.variables if v.path.startswith(f"{optimizer.name}/")]
    return [path for path in own if not re.search(r"(/v\d|_row|_column|/u_product)$", path)]


def _json(record):
    return json.loads(json.dumps(record))


def test_every_optimizer_that_keras_has_is_compared():
    shared = {n for n in dir(keras.optimizers) if n in optimizers.__all__ and n[0].isupper()}
    assert shared - {"Optimizer"} <= set(OWN) | ELSEWHERE


def test_every_name_is_an_identifier():
    for name in OWN:
        assert type(optimizers.get(name.lower())) is getattr(optimizers, name)


def test_ftrl_makes_exact_zeros_and_leaves_what_has_seen_no_gradient():
    optimizer = optimizers.Ftrl(0.1, initial_accumulator_value=0.0, l1_regularization_strength=1.0)
    params = jnp.array([0.0, 0.0, 3.0])
    state, step, reached = optimizer.init(params), jax.jit(optimizer.update), []
    for gradient in ([-0.5, -2.0, 0.0], [0.25, 1.5, 0.0]):
        params, state = step(jnp.array(gradient), state, params)
        reached.append(np.asarray(params))
    np.testing.assert_allclose(reached[0], [0.0, 0.05, 3.0], rtol=1e-6)
    np.testing.assert_array_equal(reached[1], [0.0, 0.0, 3.0])


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_missing_gradients_and_excluded_decay_equal_keras(name):
    params, grads = problem(((3, 4), (4,), ()))
    results = []
    for module, make in ((keras.optimizers, keras.Variable), (optimizers, Variable)):
        variables = [
            make(p, name=n) for p, n in zip(params, ["kernel", "bias", "scale"], strict=True)
        ]
        optimizer = getattr(module, name)(0.05, weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_list=[variables[2]], var_names=["bias"])
        optimizer.build(variables)
        for gradient in grads[:10]:
            with pytest.warns(UserWarning, match="kernel"):
                optimizer.apply([None, *gradient[1:]])
        results.append([np.asarray(v) for v in variables])
    assert_close(*results)


@pytest.mark.sampled(count=4)
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (optimizers.SGD(0.1), optax.sgd(0.1)),
        (optimizers.SGD(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
        (optimizers.SGD(0.1, momentum=0.9, nesterov=True), optax.sgd(0.1, 0.9, nesterov=True)),
        (optimizers.Adagrad(0.1, epsilon=1e-6), optax.adagrad(0.1, 0.1, eps=1e-6)),
        (optimizers.RMSprop(0.01, epsilon=1e-6), optax.rmsprop(0.01, 0.9, eps=1e-6)),
        (
            optimizers.RMSprop(0.01, epsilon=1e-3, centered=True),
            optax.rmsprop(0.01, 0.9, eps=1e-3, centered=True),
        ),
        # optax's epsilon stands on the bias-corrected root: negligible at 1e-12.
        (optimizers.Adam(0.01, epsilon=1e-12), optax.adam(0.01, eps=1e-12)),
        (optimizers.SGD(0.1, clipvalue=0.2), optax.chain(optax.clip(0.2), optax.sgd(0.1))),
        (
            optimizers.Adam(optimizers.schedules.CosineDecay(0.1, 80), epsilon=1e-12),
            optax.adam(optax.cosine_decay_schedule(0.1, 80), eps=1e-12),
        ),
        (
            optimizers.AdamW(0.01, 0.1, epsilon=1e-12),
            optax.adamw(0.01, eps=1e-12, weight_decay=0.1),
        ),
        # optax's epsilon stands inside the maximum.
        (optimizers.Adamax(0.01, epsilon=1e-12), optax.adamax(0.01, eps=1e-12)),
        (optimizers.Adadelta(1.0, epsilon=1e-4), optax.adadelta(1.0, 0.95, eps=1e-4)),
        (optimizers.Lion(0.01, weight_decay=0.1), optax.lion(0.01, weight_decay=0.1)),
        (optimizers.Lamb(0.01, epsilon=1e-6), optax.lamb(0.01, eps=1e-6)),
        # Below 1/sqrt(100), where Keras's cap on the rate is not reached.
        (
            optimizers.Adafactor(0.05),
            optax.adafactor(0.05, min_dim_size_to_factor=1, weight_decay_rate=None),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trajectory_equals_optax(mine, theirs):
    params, grads = problem()
    transformation = mine.as_optax()
    a, b = params, params
    state_a, state_b = transformation.init(a), theirs.init(b)
    step_a, step_b = (
        jax.jit(each.update, compiler_options=QUICKLY) for each in (transformation, theirs)
    )
    for gradient in grads:
        updates, state_a = step_a(gradient, state_a, a)
        a = optax.apply_updates(a, updates)
        updates, state_b = step_b(gradient, state_b, b)
        b = optax.apply_updates(b, updates)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_schedule_sees_the_raw_count_under_accumulation():
    make = [
        (keras.optimizers, keras.Variable, keras.optimizers.schedules),
        (optimizers, Variable, schedules),
    ]
    ends = []
    for module, variable, family in make:
        rate = family.ExponentialDecay(0.1, decay_steps=5, decay_rate=0.5, staircase=True)
        optimizer = module.SGD(rate, gradient_accumulation_steps=2)
        v = variable(np.ones(3, "float32"))
        optimizer.build([v])
        for _ in range(11):
            optimizer.apply([np.ones(3, "float32")])
        ends.append(np.asarray(v))
        assert int(optimizer.iterations) == 5
    np.testing.assert_allclose(*ends, rtol=1e-6)
