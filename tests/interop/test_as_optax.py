"""Every optimizer and schedule of talweg in the training loops of Flax and Equinox."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from goldens.values import OPTIMIZERS, SCHEDULES
from models.twins import numbers
from talweg import optimizers, schedules

eqx = pytest.importorskip("equinox")
linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
train_state = pytest.importorskip("flax.training.train_state")


# Those that are made of several.
SEVERAL = {
    "ByPath": lambda: optimizers.ByPath(
        {"*bias*": optimizers.from_optax(optax.adam, 0.01), lambda path: "1" not in path: 0.1},
        default=optimizers.SGD(),
    ),
    "Phases": lambda: optimizers.Phases([(optimizers.Adam(), 2), (optimizers.SGD(), None)]),
}


def made(name, **options):
    """An optimizer by its name; those that wrap another are given SGD."""
    if name in SEVERAL:
        return SEVERAL[name]()
    cls = getattr(optimizers, name)
    try:
        return cls(**OPTIMIZERS.get(name, ({},))[0] | options)
    except TypeError:
        return cls(optimizers.SGD(0.1), **options)


def mse(prediction, y):
    return jnp.mean((prediction - y) ** 2)


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(linen.tanh(linen.Dense(3)(x)))


class NNXNet(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(4, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)
        self.drop = nnx.Dropout(0.0, rngs=rngs)

    def __call__(self, x):
        return self.head(self.drop(jnp.tanh(self.hidden(x))))


def in_linen(transformation):
    """A loop over a TrainState: its start, its step, its parameters, and their gradients."""
    net = LinenNet()
    start = train_state.TrainState.create(
        apply_fn=net.apply, params=net.init(jax.random.key(0), jnp.zeros((1, 4))),
        tx=transformation,
    )  # fmt: skip

    def grads_of(params, x, y):
        return jax.grad(lambda p: mse(net.apply(p, x), y))(params)

    def step(state, x, y):
        return state.apply_gradients(grads=grads_of(state.params, x, y))

    return start, step, lambda state: state.params, grads_of


def in_nnx(transformation):
    """… over an NNX module and its optimizer."""
    model = NNXNet(nnx.Rngs(0))
    graph, start = nnx.split((model, nnx.Optimizer(model, transformation, wrt=nnx.Param)))

    def step(state, x, y):
        model, optimizer = nnx.merge(graph, state)
        optimizer.update(model, nnx.grad(lambda m: mse(m(x), y))(model))
        return nnx.state((model, optimizer))

    def grads_of(params, x, y):
        graph, _, rest = nnx.split(model, nnx.Param, ...)
        return jax.grad(lambda p: mse(nnx.merge(graph, p, rest)(x), y))(params)

    return start, step, lambda state: nnx.state(nnx.merge(graph, state)[0], nnx.Param), grads_of


def in_equinox(transformation):
    """… over an Equinox module, whose parameters hold None for all that is none."""
    model = eqx.nn.MLP(4, 1, 3, 1, activation=jnp.tanh, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def grads_of(params, x, y):
        return eqx.filter_grad(lambda m: mse(jax.vmap(m)(x), y))(eqx.combine(params, static))

    def step(carry, x, y):
        params, state = carry
        updates, state = transformation.update(grads_of(params, x, y), state, params)
        return eqx.apply_updates(params, updates), state

    return (params, transformation.init(params)), step, lambda carry: carry[0], grads_of


LOOPS = [in_linen, in_nnx, in_equinox]


# One of each kind in every run, all of them in `make battery`.
KINDS = ("SGD", "Adam", "ByPath", "Kron", "Lookahead", "Prodigy", "ScheduleFreeAdamW")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "name",
    [
        n if n in KINDS else pytest.param(n, marks=pytest.mark.battery)
        for n in optimizers.catalog.classes()
    ],
)
def test_a_step_keeps_the_shape_of_the_state(name, loop):
    """So that the loops of these libraries can be compiled, and their states be saved."""
    optimizer = made(name)
    x, y = numbers(8)
    start, step, *_ = loop(optimizer.as_optax())
    if optimizer.needs_objective:
        with pytest.raises(ValueError, match="objective"):
            jax.eval_shape(step, start, x, y)
        return
    before = jax.eval_shape(lambda start: start, start)
    after = jax.eval_shape(step, start, x, y)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(before), strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)


@pytest.mark.sampled("loop")
@pytest.mark.parametrize("name", ["Adam", "Muon"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_takes_the_steps_of_the_optimizer(name, loop):
    """With clipping, decay and a schedule, which are the optimizer's own business."""
    options = {
        "learning_rate": schedules.CosineDecay(0.1, 10), "weight_decay": 0.1, "clipnorm": 0.5
    }  # fmt: skip
    x, y = numbers(8)
    optimizer = made(name, **options)
    carry, step, params_of, grads_of = loop(optimizer.as_optax())
    params, step = params_of(carry), jax.jit(step)
    state = optimizer.init(params)
    update = jax.jit(lambda p, state: optimizer.update(grads_of(p, x, y), state, p))
    for _ in range(4):
        carry = step(carry, x, y)
        params, state = update(params, state)
    for a, b in zip(jax.tree.leaves(params_of(carry)), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_equinox_as_its_users_write_it():
    """filter_jit over the whole module, whose leaves are arrays, functions and numbers."""
    x, y = numbers()
    transformation = optax.chain(optax.clip_by_global_norm(1.0), optimizers.Adam(0.05).as_optax())
    model = eqx.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    state = transformation.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state, x, y):
        loss, grads = eqx.filter_value_and_grad(lambda m: mse(jax.vmap(m)(x), y))(model)
        params = eqx.filter(model, eqx.is_inexact_array)
        updates, state = transformation.update(grads, state, params)
        return eqx.apply_updates(model, updates), state, loss

    losses = []
    for _ in range(40):
        model, state, loss = step(model, state, x, y)
        losses.append(float(loss))
    assert losses[-1] < 0.2 * losses[0]


def test_nnx_as_its_users_write_it():
    x, y = numbers()
    model = NNXNet(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optimizers.Adam(0.05).as_optax(), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda m: mse(m(x), y))(model)
        optimizer.update(model, grads)
        return loss

    losses = [float(step(model, optimizer, x, y)) for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_schedules_of_optax(name):
    """Traced and concrete, on the count of optax's own state."""
    arguments, at, rate = SCHEDULES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = getattr(schedules, name)(*arguments)
    transformation = optax.scale_by_schedule(schedule)
    state = transformation.init(jnp.ones(()))._replace(count=jnp.int32(at))
    updates, _ = jax.jit(transformation.update)(jnp.ones(()), state)
    assert float(updates) == pytest.approx(rate, rel=1e-6)
    joined = optax.join_schedules([optax.constant_schedule(1.0), schedule], [10])
    assert float(joined(10 + at)) == pytest.approx(rate, rel=1e-6)
