"""Updates in one pass over memory: for every optimizer the steps that XLA makes."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from optimizers.listed_rates import LISTED
from talweg import config, layers, optimizers
from talweg.core import one_pass

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

VARIANTS = {
    **LISTED,
    "momentum": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True, clipnorm=1.0),
    "clipped": lambda: optimizers.AdamW(0.01, global_clipnorm=0.5),
    "cut": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True, clipvalue=0.5),
    "average": lambda: optimizers.Adam(0.01, amsgrad=True, use_ema=True),
    "accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "frozen": lambda: optimizers.ByPath({"0": optimizers.Part(frozen=True)}, "adam"),
}


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    monkeypatch.setattr(one_pass, "LARGE", 2)
    monkeypatch.setattr(one_pass, "_wanted", True)


def params():
    rng = np.random.default_rng(1)
    return {"0": rng.normal(size=(6, 6)).astype("f4"), "1": rng.normal(size=6).astype("f4")}


def objective(params):
    return jax.value_and_grad(
        lambda p: sum(jnp.sum((k + 1) * jnp.square(a)) for k, a in enumerate(p.values()))
    )(params)


def after_steps(optimizer, count):
    """Parameters and state after a few steps, and the program of one."""

    def step(params, state):
        return optimizer.update(objective(params)[1], state, params, objective)

    weights = params()
    state = optimizer.init(weights)
    compiled = jax.jit(step)
    text = compiled.lower(weights, state).as_text()
    for _ in range(count):
        weights, state = compiled(weights, state)
    return (weights, state), text


@pytest.mark.sampled(count=12)
@pytest.mark.parametrize("name", list(VARIANTS)[::-1])
def test_every_optimizer_makes_the_steps_that_it_makes_in_xla(name):
    # SOAP's second step makes 0.1 of a rounding on this problem, in XLA as well.
    steps = 1 if name == "SOAP" else 4
    made, text = after_steps(VARIANTS[name](), steps)
    config.set_fused_updates(False)
    expected, plain = after_steps(VARIANTS[name](), steps)
    assert "talweg_one_pass" not in plain
    if name in ("momentum", "average", "accumulated", "frozen", "Adam", "Lion", "Lookahead"):
        assert "talweg_one_pass" in text
    assert jax.tree.structure(made) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(made), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def fitted(**compiled):
    talweg.utils.set_random_seed(3)
    model = talweg.Sequential([layers.Dense(32, activation="relu", input_dim=20), layers.Dense(1)])
    model.compile(loss="mse", **compiled)
    x = np.random.default_rng(0).normal(size=(64, 20)).astype("f4")
    history = model.fit(x, x[:, :1], epochs=2, batch_size=16, shuffle=False, verbose=0)
    return [*history.history["loss"], *map(np.asarray, model.get_weights())]


def test_fit_trains_the_same_with_it():
    made = fitted(optimizer="adam")
    config.set_fused_updates(False)
    for one, other in zip(made, fitted(optimizer="adam"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_state_is_written_over():
    big = {"a": jnp.ones(100_000)}
    optimizer = optimizers.AdamW(0.1)

    def step(params, state, grads):
        return optimizer.update(grads, state, params)

    donating = jax.jit(step, donate_argnums=(0, 1))
    compiled = donating.lower(big, optimizer.init(big), big).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 10_000


def test_a_rate_that_is_set_is_that_of_the_next_step():
    optimizer, grads = optimizers.Adam(0.1), params()
    update = jax.jit(optimizer.update)
    state = optimizer.init(grads)
    still = {**state.hyper, "learning_rate": jnp.float32(0)}
    moved, _ = update(grads, state, grads)
    stayed, _ = update(grads, state._replace(hyper=still), grads)
    assert not np.allclose(moved["0"], grads["0"])
    np.testing.assert_array_equal(stayed["0"], grads["0"])


def test_as_optax_leaves_its_step_to_xla():
    transformation, weights = optimizers.Adam(0.1).as_optax(), params()
    state = transformation.init(weights)
    text = jax.jit(transformation.update).lower(weights, state, weights).as_text()
    assert "talweg_one_pass" not in text
