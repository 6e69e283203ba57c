"""Every optimizer and option, 100 steps, against Keras 3.15 and optax, relative 1e-5."""

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
OWN = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True, "rho": 0.8, "momentum": 0.5}],
    "Adam": [{}, {"amsgrad": True, "beta_1": 0.8, "epsilon": 1e-3}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.0, "epsilon": 1e-4}],
    "Nadam": [{}, {"beta_1": 0.7, "beta_2": 0.9}],
}
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
CASES += [(name, options) for name in ("SGD", "Adam", "Nadam") for options in COMMON]


def problem():
    rng = np.random.default_rng(7)
    params = [rng.normal(size=shape).astype("float32") for shape in [(3, 4), (4,), ()]]
    grads = [
        [rng.normal(size=p.shape).astype("float32") * 10 ** rng.uniform(-2, 1) for p in params]
        for _ in range(STEPS)
    ]
    return params, [[np.float32(g) for g in step] for step in grads]


def run_keras(name, options):
    keras.backend.clear_session()
    params, grads = problem()
    variables = [keras.Variable(p, name=f"v{i}") for i, p in enumerate(params)]
    optimizer = getattr(keras.optimizers, name)(**options)
    optimizer.build(variables)
    step = jax.jit(optimizer.stateless_apply)
    mine, theirs = [v.value for v in optimizer.variables], [v.value for v in variables]
    trajectory = []
    for gradient in grads:
        theirs, mine = step(mine, gradient, theirs)
        trajectory.append([np.asarray(p) for p in theirs])
    return trajectory, [np.asarray(v) for v in mine], optimizer


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_trajectory_and_state_equal_keras(name, options):
    expected, state, reference = run_keras(name, options)
    params, grads = problem()
    variables = [Variable(p, name=f"v{i}") for i, p in enumerate(params)]
    optimizer = getattr(optimizers, name)(**options)
    optimizer.build(variables)
    for gradient, wanted in zip(grads, expected, strict=True):
        optimizer.apply(gradient)
        for variable, value in zip(variables, wanted, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)
    assert [v.shape for v in optimizer.variables] == [v.shape for v in state]
    for variable, value in zip(optimizer.variables, state, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-5, atol=1e-6)
    named = [v.path for v in optimizer.variables[: len(state) - (name == "Nadam")]]
    assert named == [v.path for v in reference.variables][: len(named)]


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_missing_gradients_and_excluded_decay_equal_keras(name):
    params, grads = problem()
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
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


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
    ],
    ids=lambda value: type(value).__name__,
)
def test_trajectory_equals_optax(mine, theirs):
    params, grads = problem()
    transformation = mine.as_optax()
    a, b = params, params
    state_a, state_b = transformation.init(a), theirs.init(b)
    step_a, step_b = jax.jit(transformation.update), jax.jit(theirs.update)
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


def test_an_optimizer_in_keras_style_trains_like_in_keras():
    def make(base, ops):
        class Signed(base):
            def __init__(self, learning_rate=0.1, beta=0.5, name="signed", **kwargs):
                super().__init__(learning_rate=learning_rate, name=name, **kwargs)
                self.beta = beta

            def build(self, variables):
                if self.built:
                    return
                super().build(variables)
                self.m = self.add_optimizer_variables(variables, "m")

            def update_step(self, gradient, variable, learning_rate):
                m = self.m[self._get_variable_index(variable)]
                self.assign(m, self.beta * m + gradient)
                self.assign_sub(variable, learning_rate * ops.sign(m))

        return Signed

    params, grads = problem()
    ends = []
    for base, variable, ops in (
        (keras.optimizers.Optimizer, keras.Variable, keras.ops),
        (optimizers.Optimizer, Variable, _ops()),
    ):
        optimizer = make(base, ops)(weight_decay=0.01)
        variables = [variable(p, name=f"v{i}") for i, p in enumerate(params)]
        optimizer.build(variables)
        for gradient in grads[:20]:
            optimizer.apply([jnp.asarray(g) for g in gradient])
        ends.append([np.asarray(v) for v in variables])
    for mine, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def _ops():
    from talweg import ops

    return ops
