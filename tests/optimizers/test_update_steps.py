"""Optimizers with an `update_step`, on their own and over the rule of a known one."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import ops, optimizers
from talweg.core.variables import Variable

STEPS = 20
SHAPES = {"cube": (2, 3, 4), "vector": (4,), "tall": (5, 3), "wide": (3, 5)}
OPTIONS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Adam": {"amsgrad": True},
    "AdamW": {"learning_rate": 0.01},
    "Adadelta": {"learning_rate": 1.0},
    "Adagrad": {"learning_rate": 0.1},
    "Adamax": {"learning_rate": 0.1},
    "Adafactor": {"learning_rate": 0.1},
    "Nadam": {"learning_rate": 0.01},
    "Ftrl": {"learning_rate": 0.1, "l1_regularization_strength": 0.1},
    "Lion": {"learning_rate": 0.01},
    "Lamb": {"learning_rate": 0.01},
    "Muon": {"learning_rate": 0.01, "exclude_layers": ["wide"]},
}
COMMON = [
    {"weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3, "global_clipnorm": 0.7, "use_ema": True},
    {},
]
CASES = [(name, COMMON[1]) for name in ("Adam", "Muon")]
QUICK = len(CASES)
CASES += [(name, common) for name in OPTIONS for common in COMMON if (name, common) not in CASES]
CASES = [
    pytest.param(*case, id=f"{case[0]}-{COMMON.index(case[1])}",
                 marks=[] if i < QUICK else pytest.mark.battery)
    for i, case in enumerate(CASES)
]  # fmt: skip


def bent(base, ops):
    """A subclass that changes the gradient and the rate, and keeps something of its own."""

    class Bent(base):
        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.seen = self.add_optimizer_variables(variables, "seen")

        def update_step(self, gradient, variable, learning_rate):
            seen = self.seen[self._get_variable_index(variable)]
            self.assign(seen, 0.5 * seen + gradient)
            if len(variable.shape) > 1:
                gradient = gradient - ops.mean(gradient, axis=-1, keepdims=True)
            count = ops.cast(self.iterations + 1, "float32")
            super().update_step(gradient + seen / count, variable, 0.5 * learning_rate)
            self.assign_sub(variable, 1e-3 * learning_rate * variable)
            super().update_step(2 * gradient, variable, self.learning_rate)

    return Bent


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize(("name", "common"), CASES)
def test_the_rule_inside_ones_own_step_is_that_of_keras(name, common):
    rng = np.random.default_rng(3)
    params = {n: rng.normal(size=shape).astype("float32") for n, shape in SHAPES.items()}
    grads = [
        [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()]
        for _ in range(STEPS)
    ]
    keras.backend.clear_session()
    ends = []
    for module, variable, functions in (
        (keras.optimizers, keras.Variable, keras.ops),
        (optimizers, Variable, ops),
    ):
        base = getattr(module, name)
        optimizer = bent(base, functions)(**OPTIONS[name], **common)
        variables = [variable(p, name=n) for n, p in params.items()]
        optimizer.build(variables)
        step = jax.jit(optimizer.stateless_apply)
        new, state = ([v.value for v in part] for part in (variables, optimizer.variables))
        for gradient in grads:
            new, state = step(state, gradient, new)
        names = [v.path.partition("/")[2] for v in optimizer.variables]
        ends.append((new, state, names))
        if module is optimizers:  # what is compiled by itself makes the same steps
            for gradient in grads:
                optimizer.apply_gradients(zip(gradient, variables, strict=True))
            assert_close([v.numpy() for v in variables], new, rtol=1e-6)
            assert_close(optimizer.get_weights(), state, rtol=1e-6)
    theirs, mine = ends
    assert_close(mine[0], theirs[0])
    assert_close(mine[1], theirs[1])
    if name not in ("Adafactor", "Nadam"):  # whose rows, columns and product have no name there
        assert mine[2] == theirs[2]


def assert_close(actual, expected, rtol=1e-5):
    for a, b in zip(actual, expected, strict=True):
        scale = max(1.0, float(np.max(np.abs(b))))
        np.testing.assert_allclose(np.asarray(a), b, rtol=rtol, atol=rtol * scale)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_fit_trains_with_it_as_in_keras():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 3)).astype("f4"), rng.normal(size=(24, 1)).astype("f4")
    start = [rng.normal(size=(3, 1)).astype("f4"), np.zeros(1, "f4")]
    ends = []
    for api, functions in ((keras, keras.ops), (talweg, ops)):
        model = api.Sequential([api.Input((3,)), api.layers.Dense(1)])
        model.set_weights(start)
        optimizer = bent(api.optimizers.Adam, functions)(0.01, weight_decay=0.1)
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
        ends.append(model.get_weights())
    assert_close(ends[1], ends[0])


def test_hyperparameters_of_the_rule_stay_live():
    optimizer, a = bent(optimizers.Adam, ops)(0.1), Variable([1.0, 2.0])
    twin, b = bent(optimizers.Adam, ops)(0.1, beta_1=0.5), Variable([1.0, 2.0])
    optimizer.apply([jnp.ones(2)], [a])
    compiled = optimizer._compiled._cache_size()
    optimizer.beta_1 = 0.5
    twin.apply([jnp.ones(2)], [b])
    twin.set_weights(optimizer.get_weights())
    b.assign(a)
    for one, v in ((optimizer, a), (twin, b)):
        one.apply([jnp.array([1.0, -1.0])])
        assert not np.allclose(v.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert optimizer._compiled._cache_size() == compiled


def test_one_variable_is_stepped_by_hand():
    a, b = Variable([1.0, 2.0], dtype="bfloat16"), Variable([3.0])
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    with pytest.raises(RuntimeError, match="build"):
        optimizer.update_step([1.0, 1.0], a, 0.5)
    optimizer.build([a, b])
    for _ in range(2):
        optimizer.update_step([1.0, 1.0], a, optimizer.learning_rate)
    np.testing.assert_array_equal(a.numpy().astype("f4"), [-0.25, 0.75])
    np.testing.assert_array_equal(optimizer.variables[2].numpy(), [-0.75, -0.75])
    np.testing.assert_array_equal(b.numpy(), [3.0])
    with pytest.raises(ValueError, match="does not know"):
        optimizer.update_step([1.0], Variable([1.0]), 0.5)


def test_a_part_of_a_model_has_its_own_rate_in_ones_own_step():
    class Doubled(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(2 * gradient, variable, learning_rate)

    a, b, c = (Variable([1.0], name=name) for name in "abc")
    parts = optimizers.ByPath({"b": 0.1, "c": 1.0}, default=Doubled(0.25))
    parts.build([a, b, c])
    parts["c"].frozen = True
    parts.apply([jnp.ones(1)] * 3)
    np.testing.assert_allclose([v.numpy()[0] for v in (a, b, c)], [0.5, 0.95, 1.0], rtol=1e-6)


def test_the_count_and_a_callable_rate_are_those_of_the_step():
    class Counted(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            count = ops.cast(self.iterations + 1, "float32")
            self.assign_sub(variable, count * self.learning_rate * gradient)

    rate = [1.0]
    a, optimizer = Variable([0.0]), Counted(lambda: rate[0])
    reached = []
    for rate[0] in (1.0, 2.0, 3.0):
        optimizer.apply([jnp.ones(1)], [a])
        reached.append(float(a.numpy()[0]))
    assert reached == [-1.0, -5.0, -14.0]


def test_a_step_of_ones_own_takes_the_place_of_a_known_rule():
    class Signs(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * ops.sign(gradient))

    a = Variable([1.0, 2.0])
    signs = Signs(0.1, momentum=0.9)
    for _ in range(2):
        signs.apply([ops.convert_to_tensor([3.0, -1.0])], [a])
    np.testing.assert_allclose(a.numpy(), [0.8, 2.2], rtol=1e-6)


@pytest.mark.parametrize("base", [optimizers.SOAP, optimizers.LBFGS, optimizers.ScheduleFreeSGD])
def test_a_step_that_would_never_be_called_is_refused(base):
    class Own(base):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * gradient)

    with pytest.raises(NotImplementedError, match="does not call"):
        Own(0.1).build([Variable([1.0, 2.0])])


@pytest.mark.parametrize("base", [optimizers.Optimizer, optimizers.LBFGS, optimizers.Lookahead])
def test_what_has_no_rule_for_one_variable_says_so(base):
    optimizer = base(*(["sgd"] if base is optimizers.Lookahead else [0.1]))
    with pytest.raises(NotImplementedError, match=f"{base.__name__} has no rule"):
        optimizer.update_step(np.ones(2), Variable([1.0, 2.0]), 0.1)


def test_a_step_does_not_set_what_it_only_reads():
    class Counts(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)
            self.learning_rate.assign(0.5 * learning_rate)

    with pytest.raises(NotImplementedError, match=r"assigns 'counts.*learning_rate'"):
        Counts(0.1).apply([jnp.ones(2)], [Variable([1.0, 2.0])])


def test_a_step_of_ones_own_among_gradients_of_ones_own():
    class Halved(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * gradient)

        def apply_rule(self, grads, *rest):
            return super().apply_rule([g / 2 for g in grads], *rest)

    a = Variable([1.0, 2.0])
    Halved(0.5).apply([ops.convert_to_tensor([4.0, 8.0])], [a])
    np.testing.assert_allclose(a.numpy(), [0.0, 0.0])


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

    rng = np.random.default_rng(7)
    params, *grads = rng.normal(size=(STEPS + 1, 2, 3)).astype("float32")
    ends = []
    for base, variable, functions in (
        (keras.optimizers.Optimizer, keras.Variable, keras.ops),
        (optimizers.Optimizer, Variable, ops),
    ):
        optimizer = make(base, functions)(weight_decay=0.01)
        variables = [variable(p, name=f"v{i}") for i, p in enumerate(params)]
        optimizer.build(variables)
        for gradient in grads:
            optimizer.apply([jnp.asarray(g) for g in gradient])
        ends.append([np.asarray(v) for v in variables])
    for mine, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
