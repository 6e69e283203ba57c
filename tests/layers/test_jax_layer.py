"""JaxLayer and FlaxLayer: parameters, state, keys, training, records; against Keras's."""

import sys

import flax.linen
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.core.serialization import register_keras_serializable

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


@register_keras_serializable(package="tests")
def affine(params, inputs):
    return inputs @ params["w"] + params["b"]


@register_keras_serializable(package="tests")
def affine_init(rng, inputs):
    return {"w": jax.random.normal(rng, (inputs.shape[-1], 2)), "b": jnp.zeros(2)}


def counting(params, state, rng, inputs, training):
    """A scale, the number of the calls in training, and noise during training."""
    noise = 0.0 if rng is None else jax.random.normal(rng, inputs.shape)
    return inputs * params + noise, {"calls": state["calls"] + training}


def values_of(layer):
    return [np.asarray(v.value) for v in layer.weights]


def test_the_outputs_and_gradients_are_those_of_keras():
    params = {"w": X[:3, :2], "b": X[3, :2]}

    def run(m):
        layer = m.JaxLayer(affine, params=params)
        values = [jnp.asarray(v.value) for v in layer.trainable_variables]

        def total(values):
            return jnp.sum(jnp.sin(layer.stateless_call(values, [], X)[0]))

        return layer(X), jax.jit(jax.grad(total))(values), values_of(layer)

    ours, theirs = jax.tree.leaves(run(layers)), jax.tree.leaves(run(keras.layers))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_parameters_are_made_by_init_fn_when_the_shape_is_known():
    layer = layers.JaxLayer(affine, affine_init)
    assert not layer.built
    assert layer(layers.Input((3,))).shape == (None, 2)
    assert [v.shape for v in layer.trainable_weights] == [(2,), (3, 2)]


def test_state_is_kept_and_keys_differ_from_call_to_call():
    layer = layers.JaxLayer(counting, params=np.float32(2.0), state={"calls": 0}, seed=1)
    np.testing.assert_allclose(layer(X), 2 * X, rtol=1e-6)
    first, second = layer(X, training=True), layer(X, training=True)
    assert not np.allclose(first, second)
    assert [int(v.value) for v in layer.non_trainable_weights] == [2]
    theirs = keras.layers.JaxLayer(counting, params=np.float32(2.0), state={"calls": 0}, seed=1)
    np.testing.assert_allclose(first, theirs(X, training=True), rtol=1e-5)


def test_a_model_of_functions_is_trained_and_its_record_makes_another():
    model = talweg.Sequential([layers.Input((3,)), layers.JaxLayer(affine, affine_init)])
    model.compile("adam", "mse")
    y = X @ np.ones((3, 2), np.float32)
    losses = model.fit(X, y, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    layer = model.layers[0]
    again = layers.deserialize(layers.serialize(layer))
    again(X)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(X), model.predict(X, verbose=0), rtol=1e-6)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"call_fn": lambda params, x: x, "params": {}}, "Unknown argument of call_fn"),
    ({"call_fn": lambda params: params, "params": {}}, "inputs"),
    ({"call_fn": affine}, "init_fn, params or state"),
    ({"call_fn": affine, "init_fn": lambda key, inputs: {}}, "Unknown argument of init_fn"),
])  # fmt: skip
def test_functions_that_take_something_else_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.JaxLayer(**arguments)


def test_a_state_of_another_structure_is_refused():
    layer = layers.JaxLayer(lambda state, inputs: (inputs, [*state, 0]), state=[np.zeros(2)])
    with pytest.raises(ValueError, match="structure"):
        layer(X)


class Net(flax.linen.Module):
    """Dense, batch normalization and dropout."""

    @flax.linen.compact
    def __call__(self, inputs, training=False):
        x = flax.linen.Dense(4)(inputs)
        x = flax.linen.BatchNorm(use_running_average=not training)(x)
        return flax.linen.Dropout(0.5, deterministic=not training)(x)

    def doubled(self, inputs):
        return 2 * inputs


def test_a_flax_module_has_weights_state_and_dropout():
    layer = layers.FlaxLayer(Net(), seed=1)
    assert layer(layers.Input((3,))).shape == (None, 4)
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (4, 2)
    before = layer.get_weights()
    y = layer(X, training=True)
    assert 0.2 < float((y == 0).mean()) < 0.8
    moved = [not np.allclose(a, b) for a, b in zip(before, layer.get_weights(), strict=True)]
    assert moved == [False] * 4 + [True] * 2
    np.testing.assert_array_equal(layer(X), layer(X))


def test_flax_variables_give_the_outputs_of_keras():
    variables = Net().init(jax.random.key(0), X)
    ours = layers.FlaxLayer(Net(), variables=variables, seed=2)
    theirs = keras.layers.FlaxLayer(Net(), variables=variables, seed=2)
    np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-6, atol=1e-6)
    mine, other = ours(X, training=True), theirs(X, training=True)
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)
    for a, b in zip(values_of(ours), values_of(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_another_method_of_a_flax_module_may_be_called():
    module = Net()
    layer = layers.FlaxLayer(module, method="doubled")
    np.testing.assert_allclose(layer(X), 2 * X)
    layer = layers.FlaxLayer(module, method=lambda module, inputs: module.doubled(inputs) + 1)
    np.testing.assert_allclose(layer(X), 2 * X + 1)


def test_a_flax_module_is_trained():
    model = talweg.Sequential([layers.Input((3,)), layers.FlaxLayer(flax.linen.Dense(1))])
    model.compile("adam", "mse")
    losses = model.fit(X, X[:, :1], epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="get_config"):
        model.layers[0].get_config()


def test_without_flax_the_message_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "flax.linen", None)
    with pytest.raises(ImportError, match="pip install flax"):
        layers.FlaxLayer(object())
