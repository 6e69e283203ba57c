"""Flax NNX and Equinox modules trained by talweg go where a loop in optax takes them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import talweg
from models.twins import numbers
from talweg.adapters import equinox_module, nnx_module

nnx = pytest.importorskip("flax.nnx")
eqx = pytest.importorskip("equinox")

EPOCHS, BATCH = 3, 8


def batches(x, y):
    """The batches of all epochs, in order."""
    starts = [i for _ in range(EPOCHS) for i in range(0, len(x), BATCH)]
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in starts]


def trained(adapted):
    x, y = numbers()
    adapted.compile(talweg.optimizers.from_optax(optax.adam, 0.01), "mse")
    adapted.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0)
    return adapted


class Net(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(4, 8, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(8, momentum=0.8, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(self.drop(nnx.relu(self.norm(self.hidden(x)))))


def test_nnx_module_goes_where_a_loop_in_optax_goes():
    x, y = numbers()
    module, reference = Net(nnx.Rngs(0)), Net(nnx.Rngs(0))
    reference.train()
    optimizer = nnx.Optimizer(reference, optax.adam(0.01), wrt=nnx.Param)

    @nnx.jit
    def step(reference, optimizer, x, y):
        grads = nnx.grad(lambda m: jnp.mean((m(x) - y) ** 2))(reference)
        optimizer.update(reference, grads)

    for batch in batches(x, y):
        step(reference, optimizer, *batch)
    adapted = trained(nnx_module(module))
    ours, theirs = jax.tree.leaves(nnx.state(module)), jax.tree.leaves(nnx.state(reference))
    assert len(ours) == 5 + 2 + 2
    for a, b in zip(ours, theirs, strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    reference.eval()
    np.testing.assert_allclose(adapted.predict(x), reference(x), rtol=1e-5, atol=1e-6)
    assert "hidden/kernel" in [v.path for v in adapted.trainable_variables]
    assert set(adapted._ready().train_program.traces.values()) == {1}


def test_nnx_evaluation_leaves_the_state_and_the_modes():
    x, y = numbers()
    module = Net(nnx.Rngs(0))
    module.drop.deterministic = True  # a mode that is the user's own
    adapted = trained(nnx_module(module))
    before = jax.tree.map(np.asarray, nnx.state(module, nnx.BatchStat))
    adapted.evaluate(x, y, verbose=0)
    after = jax.tree.map(np.asarray, nnx.state(module, nnx.BatchStat))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert module.drop.deterministic
    assert not module.norm.use_running_average


def test_nnx_module_is_called_as_told():
    x, y = numbers()
    seen = set()

    def call(module, x, training):
        seen.add(training)
        return module(x) * 2

    adapted = nnx_module(Net(nnx.Rngs(0)), call)
    adapted.compile("sgd", "mse")
    adapted.fit(x, y, verbose=0, validation_data=(x, y))
    assert seen == {True, False}
    adapted.module.eval()
    np.testing.assert_allclose(adapted.predict(x), adapted.module(x) * 2, rtol=1e-5, atol=1e-6)


def test_nnx_module_gets_its_weights_back_after_an_error():
    class Stop(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    x, y = numbers()
    module = Net(nnx.Rngs(0))
    before = np.array(module.head.kernel[...])
    adapted = nnx_module(module)
    adapted.compile("sgd", "mse")
    with pytest.raises(KeyboardInterrupt):
        adapted.fit(x, y, verbose=0, callbacks=[Stop()])
    assert not np.allclose(before, module.head.kernel[...])


class Block(eqx.Module):
    """A stateful, noisy module."""

    hidden: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.hidden = eqx.nn.Linear(4, 8, key=a)
        self.norm = eqx.nn.BatchNorm(8, axis_name="batch", mode="batch")
        self.drop = eqx.nn.Dropout(0.3)
        self.head = eqx.nn.Linear(8, 1, key=b)

    def __call__(self, x, state, *, key=None):
        x, state = self.norm(self.hidden(x), state)
        return self.head(self.drop(jax.nn.relu(x), key=key)), state


@pytest.mark.battery
def test_equinox_module_goes_where_a_loop_in_optax_goes():
    x, y = numbers()
    module = eqx.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    transformation = optax.adam(0.01)
    reference, state = module, transformation.init(eqx.filter(module, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(reference, state, x, y):
        grads = eqx.filter_grad(lambda m: jnp.mean((jax.vmap(m)(x) - y) ** 2))(reference)
        updates, state = transformation.update(grads, state)
        return eqx.apply_updates(reference, updates), state

    for batch in batches(x, y):
        reference, state = step(reference, state, *batch)
    adapted = trained(equinox_module(module))
    ours, theirs = (eqx.filter(m, eqx.is_array) for m in (adapted.module, reference))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), ours, theirs)
    assert "layers/0/weight" in [v.path for v in adapted.trainable_variables]
    assert set(adapted._ready().train_program.traces.values()) == {1}


@pytest.mark.battery
def test_equinox_state_and_noise():
    x, y = numbers()
    module, state = eqx.nn.make_with_state(Block)(jax.random.key(0))
    adapted = equinox_module(module, state)
    noise = np.asarray(jax.random.key_data(adapted._key))
    losses = trained(adapted).history.history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(noise, jax.random.key_data(adapted._key))
    inference = eqx.nn.inference_mode(adapted.module)
    expected, _ = jax.vmap(inference, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(
        x, adapted.state
    )
    np.testing.assert_allclose(adapted.predict(x), expected, rtol=1e-5, atol=1e-6)
    before = jax.tree.leaves(adapted.state)
    adapted.evaluate(x, y, verbose=0)
    jax.tree.map(np.testing.assert_array_equal, before, jax.tree.leaves(adapted.state))


def test_equinox_batch_is_called_as_told():
    x, _ = numbers()

    def call(module, state, x, key):
        return jax.vmap(module)(x) + jnp.float32(1), state

    module = eqx.nn.Linear(4, 1, key=jax.random.key(0))
    adapted = equinox_module(module, call=call)
    np.testing.assert_allclose(adapted.predict(x), jax.vmap(module)(x) + 1, rtol=1e-5, atol=1e-6)


@pytest.mark.battery
def test_jax_modules_are_compared():
    x, y = numbers()
    seeds = iter(range(100))
    result = talweg.compare(
        lambda: nnx_module(Net(nnx.Rngs(next(seeds)))), x, y, optimizers=["sgd"],
        learning_rates=[1e-6, 0.05], folds=2, epochs=2, verbose=0, loss="mse", metrics=[],
    )  # fmt: skip
    assert result.best.learning_rate == 0.05


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(TypeError, match=r"nnx\.Module"):
        nnx_module(talweg.Sequential([]))
    with pytest.raises(TypeError, match=r"equinox\.Module"):
        equinox_module(talweg.Sequential([]))
