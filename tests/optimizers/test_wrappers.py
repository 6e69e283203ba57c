"""Optimizers around others, and those by path of Keras: against optax, NumPy and Keras."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import talweg
from models.twins import numbers
from talweg import constraints, layers, optimizers
from talweg.core.variables import Variable
from talweg.optimizers import (
    EMA,
    SAM,
    SGD,
    SWA,
    Adam,
    ByPath,
    Cautious,
    GradientAccumulation,
    GradientNoise,
    Lookahead,
    LossScaleOptimizer,
    MultiOptimizer,
    Muon,
    OptimizerMap,
    Part,
    Ranger,
    ScheduleFreeSGD,
)
from talweg.optimizers.state import tensors_of

STEPS = 100
SHAPES = ((3, 4), (4,), ())


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def problem(count=STEPS):
    rng = np.random.default_rng(3)
    params = [rng.normal(size=shape).astype("float32") for shape in SHAPES]
    grads = [
        [np.float32(rng.normal(size=s) * 10 ** rng.uniform(-2, 1)) for s in SHAPES]
        for _ in range(count)
    ]
    return params, grads


def path(optimizer, params, grads):
    """Per step, the weights that are trained and those to evaluate with; the last state."""

    @jax.jit
    def run(params, state, stacked):
        def step(carry, gradient):
            params, state = optimizer.update(gradient, carry[1], carry[0])
            used = optimizer.evaluation_leaves(params, state, tensors_of(params))
            return (params, state), (params, used)

        return jax.lax.scan(step, (params, state), stacked)

    (_, state), (trained, used) = run(params, optimizer.init(params), stack(grads))
    return trained, used, state


def stack(grads):
    return [jnp.stack(each) for each in zip(*grads, strict=True)]


def scan_optax(transformation, params, grads, of=lambda params: params):
    def step(carry, gradient):
        params, state = carry
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), of(params)

    @jax.jit
    def run(params, state, grads):
        return jax.lax.scan(step, (params, state), grads)[1]

    return run(params, transformation.init(params), stack(grads))


def assert_close(actual, expected, rtol=1e-5):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        largest = max(1.0, float(np.max(np.abs(b))))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6 * largest)


# -- against their references --------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "fast", "steps", "alpha"),
    [
        (Lookahead(SGD(0.1, momentum=0.9)), optax.sgd(0.1, 0.9), 5, 0.5),
        (Lookahead(Adam(0.01, epsilon=1e-12), 3, 0.75), optax.adam(0.01, eps=1e-12), 3, 0.75),
        # What the options are in float32.
        (
            Ranger(0.01),
            optax.radam(0.01, *(float(np.float32(b)) for b in (0.95, 0.999)), eps=1e-5),
            6,
            0.5,
        ),
    ],
    ids=["SGD", "Adam", "Ranger"],
)
@pytest.mark.usefixtures("float64")
def test_lookahead_equals_optax_in_fast_and_slow_weights(mine, fast, steps, alpha):
    params, grads = jax.tree.map(np.float64, problem())
    theirs = optax.lookahead(fast, steps, alpha)
    trained, used, _ = path(mine, params, grads)

    def step(carry, gradient):
        pair, state = carry
        updates, state = theirs.update(gradient, state, pair)
        pair = optax.apply_updates(pair, updates)
        return (pair, state), pair

    start = optax.LookaheadParams.init_synced([jnp.asarray(p) for p in params])
    pairs = jax.jit(lambda c, g: jax.lax.scan(step, c, g)[1])(
        (start, theirs.init(start)), stack(grads)
    )
    assert_close(trained, pairs.fast)
    assert_close(used, pairs.slow)


def coupled(params):
    matrix, vector, scalar = params
    return (
        jnp.sum(jnp.square(jnp.tanh(matrix @ vector) - scalar))
        + jnp.sum(jnp.cosh(matrix)) + 0.5 * jnp.sum(jnp.square(vector - 1)) + scalar**4
    )  # fmt: skip


def sam_path(optimizer, params):
    look = jax.value_and_grad(coupled)

    def step(carry, _):
        params, state = carry
        params, state = optimizer.update(look(params)[1], state, params, look)
        return (params, state), params

    start = (params, optimizer.init(params))
    return jax.jit(lambda carry: jax.lax.scan(step, carry, None, STEPS)[1])(start)


@pytest.mark.usefixtures("float64")
def test_sam_equals_optax():
    params = [0.3 * jnp.asarray(p, "float64") for p in problem()[0]]
    mine = sam_path(SAM(Adam(0.01, epsilon=1e-12), rho=0.1), params)
    theirs = optax.contrib.sam(
        optax.adam(0.01, eps=1e-12),
        optax.chain(optax.contrib.normalize(), optax.sgd(0.1)),
        opaque_mode=True,
    )

    def step(carry, _):
        params, state = carry
        gradient = jax.grad(coupled)
        updates, state = theirs.update(
            gradient(params), state, params, grad_fn=lambda p, _: gradient(p)
        )
        return (optax.apply_updates(params, updates), state), optax.apply_updates(params, updates)

    expected = jax.jit(lambda carry: jax.lax.scan(step, carry, None, STEPS)[1])(
        (params, theirs.init(params))
    )
    assert_close(mine, expected)


@pytest.mark.usefixtures("float64")
def test_adaptive_sam_equals_the_formula():
    params = [jnp.asarray(p, "float64") for p in problem()[0]]
    mine, slope = sam_path(SAM(SGD(0.01), rho=0.5, adaptive=True), params), jax.grad(coupled)
    slope = jax.jit(slope)
    for t in range(20):
        g = slope(params)
        norm = np.sqrt(sum(np.sum((p * x) ** 2) for p, x in zip(params, g, strict=True)))
        high = [p + 0.5 * p**2 * x / norm for p, x in zip(params, g, strict=True)]
        params = [p - 0.01 * x for p, x in zip(params, slope(high), strict=True)]
        assert_close([m[t] for m in mine], params)


def test_gradient_accumulation_equals_optax():
    params, grads = problem()
    mine = GradientAccumulation(Adam(0.01, epsilon=1e-12), steps=4)
    theirs = optax.MultiSteps(optax.adam(0.01, eps=1e-12), every_k_schedule=4)
    trained, _, state = path(mine, params, grads)
    start = [jnp.asarray(p) for p in params]
    assert_close(trained, scan_optax(theirs.gradient_transformation(), start, grads))
    assert (int(state.iterations), int(state.inner[0].iterations)) == (100, 25)


def test_gradient_noise_has_the_variance_of_the_paper_and_of_optax():
    params, grads = [jnp.zeros(40_000)], [[jnp.zeros(40_000)]] * 30
    optimizer = GradientNoise(SGD(1.0), eta=0.5, gamma=0.7)
    mine = np.diff(np.asarray(path(optimizer, params, grads)[0][0]), axis=0)
    again = np.diff(np.asarray(path(optimizer, params, grads)[0][0]), axis=0)
    theirs = optax.chain(optax.add_noise(0.5, 0.7, key=1), optax.sgd(1.0))
    reference = np.diff(np.asarray(scan_optax(theirs, params, grads)[0]), axis=0)
    expected = np.sqrt(0.5 / np.arange(2, 31) ** 0.7)
    np.testing.assert_allclose(mine.std(axis=1), expected, rtol=0.02)
    np.testing.assert_allclose(reference.std(axis=1), expected, rtol=0.02)
    np.testing.assert_array_equal(mine, again)
    other = GradientNoise(SGD(1.0), eta=0.5, gamma=0.7, seed=1)
    several = [mine[0], mine[1], np.diff(path(other, params, grads)[0][0], axis=0)[0]]
    np.testing.assert_allclose(np.corrcoef(several), np.eye(3), atol=0.03)


def test_gradient_noise_does_not_grow_by_the_scale_of_the_loss():
    params, _ = problem()
    ends = []
    for factor in (None, 64.0):
        optimizer = GradientNoise(SGD(0.1, loss_scale_factor=factor))
        grads = [np.full_like(p, factor or 1.0) for p in params]
        ends.append(optimizer.update(grads, optimizer.init(params), params)[0])
    assert_close(*ends)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.9999])
def test_ema_equals_optax(momentum):
    params, grads = problem()
    trained, used, _ = path(EMA(SGD(0.1), momentum), params, grads)
    average = optax.ema(momentum)
    plain = path(SGD(0.1), params, grads)[0]
    assert_close(trained, plain)

    def step(state, weights):
        used, state = average.update(weights, state)
        return state, used

    # optax's own correction loses digits in float32 where the momentum is near 1.
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), "float64"), plain)
        state = average.init([w[0] for w in wide])
        expected = jax.lax.scan(step, state, wide)[1]
    assert_close(used, expected)


def test_ema_without_correction_is_the_average_of_use_ema():
    params, grads = problem()
    used = path(EMA(Adam(0.01), 0.9, debias=False), params, grads)[1]
    average = path(Adam(0.01, use_ema=True, ema_momentum=0.9), params, grads)[2].average
    assert_close([u[-1] for u in used], list(average))


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("start", "every"), [(1, 1), (10, 4), (7, 1), (200, 1)])
def test_swa_is_the_arithmetic_mean(start, every):
    params, grads = problem(60)
    trained, used, _ = path(SWA(Adam(0.05), start, every), params, grads)
    for t in range(60):
        taken = list(range(start, t + 2, every))
        for w, u in zip(trained, used, strict=True):
            mean = np.mean([np.asarray(w[k - 1]) for k in taken] or [np.asarray(w[t])], axis=0)
            np.testing.assert_allclose(u[t], mean, rtol=1e-5, atol=2e-6)


def test_cautious_adamw_equals_the_transcribed_c_adamw():
    rate, b1, b2, eps, decay = 0.01, 0.9, 0.999, 1e-8, 0.1
    params, grads = problem()
    optimizer = Cautious(Adam(rate, b1, b2, epsilon=1e-12, weight_decay=decay))
    trained = path(optimizer, params, grads)[0]
    p = [np.float64(x) for x in params]
    m, v = [np.zeros_like(x) for x in p], [np.zeros_like(x) for x in p]
    for t, gradient in enumerate(grads, 1):
        for i, g in enumerate(np.float64(x) for x in gradient):
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g**2
            denominator = np.sqrt(v[i] / (1 - b2**t)) + eps
            mask = (m[i] * g > 0).astype(float)
            mask /= max(mask.mean(), 1e-3)
            p[i] = p[i] * (1 - rate * decay) - rate / (1 - b1**t) * m[i] * mask / denominator
        assert_close([w[t - 1] for w in trained], p)


def test_cautious_around_a_method_of_the_whole_tree_masks_what_it_would_add():
    params, grads = problem(3)
    plain, masked = (
        Muon(0.1, weight_decay=0.1, adam_weight_decay=0.1),
        Cautious(Muon(0.1, weight_decay=0.1, adam_weight_decay=0.1)),
    )
    state, other = plain.init(params), masked.init(params)
    for gradient in grads:
        expected, _ = plain.update(gradient, other.inner[0]._replace(hyper=state.hyper), params)
        new, other = masked.update(gradient, other, params)
        for p, q, r, g in zip(params, expected, new, gradient, strict=True):
            decayed = p * (1 - np.float32(0.1) * np.float32(0.1))
            u = np.asarray(q) - decayed
            mask = (u * g < 0).astype("float32")
            expected_p = decayed + u * mask / max(mask.mean(), 1e-3)
            np.testing.assert_allclose(r, expected_p, rtol=1e-5, atol=1e-6)
        params = new


# -- how they compose ----------------------------------------------------------------


def test_equal_names_inside_and_outside_are_kept_apart():
    optimizer = EMA(EMA(SGD(0.1, momentum=0.9), momentum=0.5), momentum=0.25)
    inner = optimizer.inner_optimizer
    assert (optimizer.momentum, inner.momentum, inner.inner_optimizer.momentum) == (0.25, 0.5, 0.9)
    optimizer.set_hyperparameter("inner_optimizer/momentum", 0.75)
    optimizer.learning_rate = 0.2
    assert inner.momentum == 0.75
    assert float(inner.inner_optimizer.learning_rate) == np.float32(0.2)
    params, grads = problem(10)
    trained, used, _ = path(optimizer, params, grads)
    assert_close(trained, path(SGD(0.2, momentum=0.9), params, grads)[0])
    assert_close(used, path(EMA(SGD(0.2, momentum=0.9), 0.25), params, grads)[1])


def test_cautious_reaches_the_rule_through_other_wrappers():
    params, grads = problem(20)
    outside = path(Cautious(Lookahead(Adam(0.01))), params, grads)[0]
    inside = path(Lookahead(Cautious(Adam(0.01))), params, grads)[0]
    twice = path(Lookahead(Cautious(Cautious(Adam(0.01)))), params, grads)[0]
    assert_close(outside, inside)
    assert_close(twice, inside)
    assert not np.allclose(inside[0][-1], path(Lookahead(Adam(0.01)), params, grads)[0][0][-1])


def test_as_optax_of_nested_wrappers_takes_their_steps():
    params, grads = problem(20)
    start = [jnp.asarray(p) for p in params]
    optimizer = Lookahead(Cautious(Adam(0.01)), steps=3)
    expected = path(optimizer, params, grads)[0]
    assert_close(scan_optax(optimizer.as_optax(), start, grads), expected)


def test_a_frozen_part_is_not_pulled_and_a_slow_one_is():
    params, grads = problem(8)
    variables = [Variable(p, name=f"v{i}") for i, p in enumerate(params)]
    part = Part(Lookahead(SGD(0.1), steps=3))
    optimizer = ByPath({"v[01]": part}, default=SGD(0.1))
    optimizer.build(variables)
    for gradient in grads[:4]:
        optimizer.apply(gradient)
    part.frozen = True
    before = [v.numpy() for v in variables]
    for gradient in grads[4:]:
        optimizer.apply(gradient)
    np.testing.assert_array_equal(variables[0], before[0])
    np.testing.assert_array_equal(variables[1], before[1])
    assert not np.array_equal(variables[2], before[2])


def test_the_average_of_constrained_weights_meets_the_constraint():
    params, grads = problem(40)
    variable = Variable(np.abs(params[0]), name="kernel")
    variable.constraint = constraints.NonNeg()
    optimizer, seen = EMA(SGD(0.1), 0.9), []
    optimizer.build([variable])
    for gradient in grads:
        optimizer.apply([gradient[0]])
        seen.append(variable.numpy().astype("float64"))
    shares = 0.9 ** np.arange(40)[::-1]
    expected = np.tensordot(shares / shares.sum(), np.stack(seen), 1)
    assert (np.stack(seen) == 0).any()
    optimizer.move_to_evaluation()
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert variable.numpy().min() > -1e-6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lookahead(EMA("adam")), "evaluated where it trains"),
        (lambda: Lookahead(ScheduleFreeSGD()), "evaluated where it trains"),
        (lambda: Cautious(ScheduleFreeSGD()), "evaluated where it trains"),
        (lambda: SWA("adam"), "start must be an integer"),
        (lambda: GradientAccumulation("adam"), "steps must be an integer"),
        (lambda: SAM("sgd").update([1.0], SAM("sgd").init([1.0]), [1.0]), "objective"),
        (lambda: EMA("no such optimizer"), "Unknown optimizer"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# -- in fit --------------------------------------------------------------------------


X, Y = numbers(64)


def model_of(optimizer, epochs=None, **options):
    model = talweg.Sequential(
        [layers.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
    )
    rng = np.random.default_rng(0)
    model.set_weights([0.5 * rng.normal(size=w.shape) for w in model.get_weights()])
    model.compile(optimizer, "mse")
    if epochs:
        fit(model, epochs, **options)
    return model


def fit(model, epochs, **options):
    given = {"validation_data": (X, Y), "batch_size": 9, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, **given)


WRAPPED = {
    "Lookahead": lambda: Lookahead(Adam(0.02), steps=3),
    "Ranger": lambda: Ranger(0.02),
    "EMA": lambda: EMA(Adam(0.02), 0.9),
    "SWA": lambda: SWA(Adam(0.02), start=10, every=3),
    "SAM": lambda: SAM(SGD(0.05, momentum=0.9)),
    "Cautious": lambda: Cautious(Adam(0.02)),
    "GradientAccumulation": lambda: GradientAccumulation(Adam(0.02), 3),
    "GradientNoise": lambda: GradientNoise(Adam(0.02), eta=0.01),
    "nested": lambda: EMA(Lookahead(SAM(Cautious(Adam(0.02)))), 0.9),
    "MultiOptimizer": lambda: MultiOptimizer(
        OptimizerMap(Adam(0.02), {".*kernel": EMA(SGD(0.05), 0.9)})
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize(
    "name",
    [n if n in ("EMA", "nested") else pytest.param(n, marks=pytest.mark.battery) for n in WRAPPED],
)
def test_fit_validates_what_it_leaves_and_goes_on_from_what_it_trained(name):
    whole = model_of(WRAPPED[name]())
    history = fit(whole, 4).history
    assert history["loss"][-1] < history["loss"][0]
    last = whole.evaluate(X, Y, batch_size=9, verbose=0)
    assert last == pytest.approx(history["val_loss"][-1], rel=1e-6)
    optimizer = whole.optimizer
    used = [v.numpy() for v in whole.trainable_variables]
    optimizer.move_to_training()
    trained = [v.numpy() for v in whole.trainable_variables]
    moved = any(not np.array_equal(u, t) for u, t in zip(used, trained, strict=True))
    assert moved == optimizer.trains_elsewhere

    halves = model_of(WRAPPED[name]())
    parts = [fit(halves, 2), fit(halves, 2)]
    assert [v for part in parts for v in part.history["val_loss"]] == history["val_loss"]

    # From a file, in which the weights are those to evaluate with.
    first = model_of(WRAPPED[name](), 2)
    record = json.loads(json.dumps(optimizers.serialize(first.optimizer)))
    second = model_of(optimizers.deserialize(record))
    second.set_weights(first.get_weights())
    second.optimizer.build(second.trainable_variables)
    second.optimizer.set_weights(first.optimizer.get_weights())
    resumed = fit(second, 2).history["val_loss"]
    np.testing.assert_allclose(resumed, history["val_loss"][2:], rtol=1e-4)


@pytest.mark.battery
def test_sam_takes_the_same_steps_under_a_scale_of_the_loss():
    ends = [
        model_of(make(), 2).get_weights()
        for make in (
            lambda: SAM(SGD(0.05)),
            lambda: SAM(SGD(0.05, loss_scale_factor=32.0)),
            lambda: LossScaleOptimizer(SAM(SGD(0.05)), initial_scale=32.0),
            lambda: SAM(LossScaleOptimizer(SGD(0.05), initial_scale=32.0)),
        )
    ]
    for end in ends[1:]:
        assert_close(end, ends[0])


# -- by path, as in Keras ------------------------------------------------------------


class Ours:
    optimizers, variable = optimizers, staticmethod(lambda p, n: Variable(p, name=n))


class Keras:
    optimizers, variable = keras.optimizers, staticmethod(lambda p, n: keras.Variable(p, name=n))


def by_map(o):
    return o.OptimizerMap(o.Adam(0.02), {"a.*": o.SGD(0.1, momentum=0.9), "c": o.RMSprop(0.01)})


def by_function(o):
    first, second = o.Adam(0.02), o.SGD(0.1)
    return lambda variable: first if "a" in variable.path else second


@pytest.mark.sampled(count=2)
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("factor", [None, 8.0])
@pytest.mark.parametrize("arrange", [by_map, by_function])
def test_multi_optimizer_equals_keras(arrange, factor):
    params, grads = problem(20)
    made = []
    keras.backend.clear_session()
    for k in (Keras, Ours):
        optimizer = k.optimizers.MultiOptimizer(
            arrange(k.optimizers), loss_scale_factor=factor, name="multi"
        )
        variables = [k.variable(p, n) for p, n in zip(params, ("a1", "b", "c"), strict=True)]
        optimizer.build(variables)
        made.append((optimizer, variables))
    (theirs, their_variables), (ours, variables) = made

    def step_both(gradients):
        for gradient in gradients:
            theirs.apply([jnp.asarray(g) for g in gradient])
            ours.apply(gradient)
        assert_close([v.numpy() for v in variables], [np.asarray(v) for v in their_variables])
        assert_close(ours.get_weights(), [np.asarray(v) for v in theirs.variables])

    step_both(grads[:10])
    assert [type(o).__name__ for o in ours.optimizers] == [
        type(o).__name__ for o in theirs.optimizers
    ]
    assert float(ours.scale_loss(jnp.float32(2.0))) == float(theirs.scale_loss(2.0))
    ours.apply(grads[10])
    theirs.set_weights(ours.get_weights())
    for theirs_, ours_ in zip(their_variables, variables, strict=True):
        theirs_.assign(ours_.numpy())
    step_both(grads[11:15])
    theirs.apply([jnp.asarray(g) for g in grads[15]])
    ours.set_weights([np.asarray(v) for v in theirs.variables])
    for theirs_, ours_ in zip(their_variables, variables, strict=True):
        ours_.assign(np.asarray(theirs_))
    step_both(grads[16:])


def without_names(record):
    if not isinstance(record, dict):
        return record
    return {k: without_names(v) for k, v in record.items() if k != "name"}


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_multi_optimizer_has_keras_records_and_reads_them():
    ours = MultiOptimizer(by_map(optimizers), 8.0)
    theirs = keras.optimizers.MultiOptimizer(by_map(keras.optimizers), 8.0)
    record = json.loads(json.dumps(optimizers.serialize(ours)))
    reference = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
    assert without_names(record) == without_names(reference)
    assert optimizers.deserialize(reference).get_config() == theirs.get_config()
    assert keras.optimizers.deserialize(record).get_config() == ours.get_config()
    by_name = by_map(optimizers)
    again = OptimizerMap.from_config(by_name.get_config())
    assert again.get_config() == by_name.get_config()
    assert list(again) == list(by_name)
    assert len(again) == 2


@pytest.mark.parametrize("o", [keras.optimizers, optimizers], ids=["keras", "talweg"])
def test_optimizer_map_refuses_as_keras_does(o):
    found = o.OptimizerMap(o.Adam(), {"a.*": o.SGD(), "ab": o.RMSprop(), "(b|ac).*": o.SGD()})
    assert type(found["ab"]).__name__ == "RMSprop"
    assert type(found["xyz"]).__name__ == "Adam"
    with pytest.raises(ValueError, match="acd"):
        found["acd"]
    for key, value in (
        ("ab", o.SGD()), (3, o.SGD()), ("new", "sgd"),
        ("new", o.LossScaleOptimizer(o.SGD())), ("new", o.MultiOptimizer(found)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"key|optimizer|exists"):
            found[key] = value
    for arguments in (("adam",), (o.Adam(), [("a", o.SGD())])):
        with pytest.raises(TypeError):
            o.OptimizerMap(*arguments)
    del found["ab"]
    multi = o.MultiOptimizer(found)
    assert not hasattr(multi, "learning_rate")
    with pytest.raises(AttributeError, match="optimizers"):
        multi.learning_rate = 0.1


def test_one_multiplier_scales_all_rates_of_a_multi_optimizer():
    params, grads = problem(3)
    ends = []
    for factor in (1.0, 0.5):
        optimizer = MultiOptimizer(OptimizerMap(SGD(0.1 / factor), {"0": SGD(0.2 / factor)}))
        optimizer.rate_multiplier = factor
        ends.append(path(optimizer, params, grads)[0])
    assert_close(*ends)
