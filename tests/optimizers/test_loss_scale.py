"""LossScaleOptimizer against Keras 3.15, its floor, and float16 models in fit."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers, optimizers
from talweg.core.dtypes import set_dtype_policy
from talweg.core.variables import Variable
from talweg.optimizers import SGD, Adam, LossScaleOptimizer

SHAPES = [(3, 2), (2,)]


def gradients(count, overflow):
    rng = np.random.default_rng(4)
    steps = []
    for step in range(count):
        grads = [np.float32(rng.normal(size=shape) * 1000) for shape in SHAPES]
        if step in overflow:
            grads[step % 2].flat[0] = [np.inf, np.nan][step % 2]
        steps.append(grads)
    return steps


def test_hundred_steps_with_overflows_are_those_of_keras():
    options = {"initial_scale": 1024.0, "dynamic_growth_steps": 5}
    start = [np.float32(np.random.default_rng(1).normal(size=s)) for s in SHAPES]
    theirs = [keras.Variable(p) for p in start]
    ours = [Variable(p) for p in start]
    reference = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), **options)
    reference.build(theirs)
    optimizer = LossScaleOptimizer(Adam(0.01), **options)
    optimizer.build(ours)
    step = jax.jit(reference.stateless_apply)
    state, values = [v.value for v in reference.variables], [v.value for v in theirs]
    overflow = {3, 4, 20, 21, 22, 60}
    for number, gradient in enumerate(gradients(100, overflow)):
        values, state = step(state, [jnp.asarray(g) for g in gradient], values)
        optimizer.apply(gradient)
        assert float(optimizer.dynamic_scale.value) == float(state[3]), number
    for mine, expected in zip(ours, values, strict=True):
        np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-5, atol=1e-7)
    # iteration and rate of the wrapper, its counter and scale, then the state inside
    names = [v.name for v in optimizer.variables]
    assert names[:4] == ["iteration", "learning_rate", "step_counter", "dynamic_scale"]
    assert [v.shape for v in optimizer.variables] == [v.shape for v in reference.variables]
    for mine, expected in zip(optimizer.variables[2:], state[2:], strict=True):
        np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert int(optimizer.iterations.value) == 100 - len(overflow)


@pytest.mark.filterwarnings("ignore:__array__")
def test_the_record_is_that_of_keras():
    ours = LossScaleOptimizer(SGD(0.5), initial_scale=8.0)
    theirs = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=8.0)
    mine, expected = ours.get_config(), theirs.get_config()
    assert mine.keys() == expected.keys()
    assert mine["initial_scale"] == expected["initial_scale"]
    read = optimizers.deserialize(keras.optimizers.serialize(theirs))
    assert isinstance(read, LossScaleOptimizer)
    assert read.get_config()["inner_optimizer"]["config"] == mine["inner_optimizer"]["config"] | {
        "name": read.inner_optimizer.name
    }


def test_the_scale_stops_at_one_and_lets_what_is_broken_through():
    optimizer = LossScaleOptimizer(SGD(0.1), initial_scale=4.0)
    params, state = [jnp.float32(1.0)], optimizer.init([1.0])
    for scale in (2.0, 1.0):
        params, state = optimizer.update([jnp.float32("nan")], state, params)
        assert float(state.shared.dynamic_scale) == scale
        assert float(params[0]) == 1.0
    params, _ = optimizer.update([jnp.float32("nan")], state, params)
    assert np.isnan(params[0])


def test_two_loss_scales_are_refused():
    with pytest.raises(ValueError, match="scaled twice"):
        LossScaleOptimizer(SGD(0.1, loss_scale_factor=8.0))


@pytest.fixture
def float16():
    set_dtype_policy("mixed_float16")
    yield
    set_dtype_policy(None)


X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
Y = X[:, :1] * 2


def model_in_float16(optimizer="sgd", width=4, **options):
    model = talweg.Sequential([layers.Input((3,)), layers.Dense(width), layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def test_compile_scales_the_loss_of_float16_models_unless_told_not_to(float16):
    assert isinstance(model_in_float16().optimizer, LossScaleOptimizer)
    assert isinstance(model_in_float16(LossScaleOptimizer("sgd")).optimizer.inner_optimizer, SGD)
    assert isinstance(model_in_float16(auto_scale_loss=False).optimizer, SGD)


@pytest.mark.parametrize("width", [4, 100_000], ids=["small", "large"])
def test_a_scale_that_overflows_is_lowered_and_training_goes_on(float16, width):
    model = model_in_float16(LossScaleOptimizer(SGD(1e-8), initial_scale=2.0**40), width)
    model.fit(X, Y, epochs=2, batch_size=2, verbose=0)
    scale = float(model.optimizer.dynamic_scale.value)
    assert 1.0 <= scale < 2.0**40
    assert 0 < int(model.optimizer.iterations.value) < 64
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_row_of_nan_is_named_and_neither_scale_nor_weights_are_harmed(float16):
    model = model_in_float16()
    broken = X.copy()
    broken[17] = np.nan
    before = model.get_weights()
    with pytest.raises(talweg.NonFiniteError, match="17"):
        model.fit(broken, Y, epochs=3, verbose=0, shuffle=False, batch_size=64)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert float(model.optimizer.dynamic_scale.value) == 2.0**15


def test_a_loss_without_finite_gradient_ends_as_a_divergence(float16):
    def broken(y_true, y_pred):  # finite, with a gradient that is not
        return talweg.ops.sqrt(talweg.ops.abs(y_pred - y_pred)) + y_true * 0

    model = model_in_float16(LossScaleOptimizer("sgd", initial_scale=4.0))
    model.compile(model.optimizer, broken)
    with pytest.warns(RuntimeWarning, match="diverged"):
        model.fit(X, Y, epochs=3, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_records_of_earlier_versions_of_keras_are_read():
    unset = {
        "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
        "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
        "loss_scale_factor": None, "gradient_accumulation_steps": None,
    }  # fmt: skip
    config = LossScaleOptimizer(SGD(0.5)).get_config()
    optimizer = LossScaleOptimizer.from_config({**config, **unset})
    assert optimizer.inner_optimizer.learning_rate == 0.5
    with pytest.raises(TypeError, match="clipnorm"):
        LossScaleOptimizer.from_config({**config, **unset, "clipnorm": 1.0})


def test_a_plain_number_is_scaled_as_a_loss():
    assert float(LossScaleOptimizer("sgd", initial_scale=4.0).scale_loss(2.5)) == 10.0
