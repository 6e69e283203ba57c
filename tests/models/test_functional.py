"""Functional models beside Keras's: graphs, names, order, numbers."""

import keras
import numpy as np
import pytest

import talweg
from talweg import Input, Model, layers

# Keras 3.15 hands its variables to NumPy in a way that NumPy 2 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__")

RNG = np.random.default_rng(0)
A = RNG.normal(size=(24, 3)).astype("float32")
B = RNG.normal(size=(24, 4)).astype("float32")


def two_ends(K):
    a, b = K.Input((3,), name="a"), K.Input((4,), name="b")
    hidden = K.layers.Dense(5, activation="relu", name="h")(a)
    shared = K.layers.Dense(5, name="shared")
    left, right = shared(b), shared(K.layers.Dense(4, name="pre")(hidden))
    joined = K.layers.Concatenate(name="cat")([hidden, left, right])
    mixed = joined * 2.0 + K.ops.sum(joined, axis=-1, keepdims=True)
    first = K.layers.Dense(1, name="first")(mixed)
    second = K.layers.Dense(2, activation="softmax", name="second")(hidden)
    return K.Model([a, b], [first, second], name="two_ends")


def residual(K):
    x = K.Input((3,), name="x")
    y = x
    for i in range(3):
        y = K.layers.Add(name=f"add{i}")([y, K.layers.Dense(3, activation="tanh", name=f"d{i}")(y)])
    y = K.layers.BatchNormalization(name="norm")(y)
    return K.Model(x, K.layers.Dense(1, name="out")(y), name="residual")


def nested(K):
    inner_in = K.Input((3,), name="inner_in")
    inner = K.Model(inner_in, K.layers.Dense(4, name="in_dense")(inner_in), name="inner")
    stack = K.Sequential([K.layers.Input((4,)), K.layers.Dense(2, name="s")], name="stack")
    x = K.Input((3,), name="x")
    y = stack(inner(x)) - stack(inner(x * 0.5))
    return K.Model(inputs=x, outputs=K.layers.Dense(1, name="out")(y), name="nested")


def dicts(K):
    inputs = {"p": K.Input((3,), name="p"), "q": K.Input((4,), name="q")}
    joined = K.layers.Concatenate(name="cat")([inputs["q"], inputs["p"]])
    return K.Model(
        inputs,
        {"u": K.layers.Dense(1, name="u")(joined), "w": K.layers.Dense(2, name="w")(joined)},
        name="dicts",
    )


CASES = {
    "two_ends": (two_ends, [A, B]),
    "residual": (residual, A),
    "nested": (nested, A),
    "dicts": (dicts, {"p": A, "q": B}),
}


def twins(name):
    make, data = CASES[name]
    keras.backend.clear_session()
    ours, theirs = make(talweg), make(keras)
    ours.set_weights(theirs.get_weights())
    return ours, theirs, data


def assert_trees(mine, theirs):
    assert type(mine) is type(theirs)
    if isinstance(theirs, dict):
        mine, theirs = [mine[k] for k in sorted(theirs)], [theirs[k] for k in sorted(theirs)]
    elif not isinstance(theirs, list):
        mine, theirs = [mine], [theirs]
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("name", CASES)
def test_layers_weights_names_and_predictions_are_those_of_keras(name):
    ours, theirs, data = twins(name)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert ours.output_names == theirs.output_names
    assert ours.input_shape == theirs.input_shape
    assert ours.output_shape == theirs.output_shape
    assert_trees(ours.predict(data), theirs.predict(data, verbose=0))


@pytest.mark.sampled
@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_keras(name):
    ours, theirs, data = twins(name)
    sizes = {"two_ends": [1, 2], "dicts": {"u": 1, "w": 2}}.get(name, 1)
    target = RNG.normal(size=(24, 2)).astype("float32")
    y = (
        {k: target[:, :n] for k, n in sizes.items()} if isinstance(sizes, dict)
        else [target[:, :n] for n in sizes] if isinstance(sizes, list)
        else target[:, :1]
    )  # fmt: skip
    histories = []
    for model in (ours, theirs):
        model.compile("adam", "mse")
        history = model.fit(data, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
        histories.append({k: v for k, v in history.items() if k != "learning_rate"})
    mine, expected = histories
    assert mine.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(mine[key], values, rtol=2e-5, err_msg=key)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_inputs_may_come_by_name():
    model = two_ends(talweg)
    by_place, by_name = model.predict([A, B]), model.predict({"b": B, "a": A})
    assert_trees(by_name, by_place)
    with pytest.raises(ValueError, match="a dict with a, b"):
        model.predict({"a": A})
    with pytest.raises(ValueError, match="2 arrays"):
        model.predict([A])


def test_a_shape_that_does_not_fit_names_the_input():
    with pytest.raises(ValueError, match=r"'b'.*\(None, 4\)"):
        two_ends(talweg).predict([A, A])


def test_an_output_that_needs_another_input_is_refused():
    a, b = Input((3,)), Input((3,), name="forgotten")
    with pytest.raises(ValueError, match="forgotten"):
        Model(a, a + b)


@pytest.mark.parametrize("arguments", [(A, A), (Input((3,)),), ([], [])], ids=["arrays", "1", "0"])
def test_what_is_no_graph_is_refused(arguments):
    with pytest.raises((TypeError, ValueError), match="Model"):
        Model(*arguments)


def test_two_layers_of_one_name_are_refused():
    x = Input((3,))
    y = layers.Dense(3, name="same")(layers.Dense(3, name="same")(x))
    with pytest.raises(ValueError, match="same"):
        Model(x, y)


def test_a_subclass_may_hand_its_graph_on():
    class Own(Model):
        def __init__(self, units):
            x = Input((3,))
            super().__init__(inputs=x, outputs=layers.Dense(units)(x))
            self.units = units

        def train_step(self, state, data):
            self.seen = True
            return super().train_step(state, data)

    model = Own(2)
    assert type(model).__name__ == "Own"
    assert isinstance(model, Own)
    assert model.output_shape == (None, 2)
    assert len(model.weights) == 2
    model.compile("sgd", "mse")
    model.fit(A, B[:, :2], verbose=0)
    assert model.seen


def test_a_model_from_the_inside_of_another():
    whole = residual(talweg)
    part = Model(whole.input, whole.get_layer("add1").output)
    assert part.output_shape == (None, 3)
    assert part.get_layer("d0").kernel is whole.get_layer("d0").kernel
    tail = Model(whole.get_layer("add1").output, whole.output)
    np.testing.assert_allclose(tail.predict(part.predict(A)), whole.predict(A), rtol=1e-5)


def test_a_deep_graph_needs_no_deep_stack():
    x = y = Input((2,))
    for _ in range(1500):
        y = y + 1.0
    model = Model(x, y)
    assert len(model._graph.nodes) == 1500


def test_frozen_layers_stand_still():
    model = residual(talweg)
    model.get_layer("d1").trainable = False
    before = np.array(model.get_layer("d1").kernel)
    model.compile("sgd", "mse")
    model.fit(A, A[:, :1], verbose=0)
    np.testing.assert_array_equal(model.get_layer("d1").kernel, before)


def test_sequential_models_take_numbers_of_the_names_of_functional_ones_as_in_keras():
    def found(K):
        def following():
            inputs = K.Input((3,))
            return K.Model(inputs, K.layers.Dense(1)(inputs)).name

        K.backend.clear_session()
        listed = [following()]
        model = K.Sequential([K.Input((3,)), K.layers.Dense(2), K.layers.Dense(1)])
        listed.append(following())  # built once with its layers
        model.add(K.layers.Dense(2))
        model.add(K.layers.Dense(1))
        listed.append(following())  # and again with each that is added
        K.Sequential([K.layers.Dense(2)]).build((None, 3))
        return [*listed, following()]

    assert found(talweg) == found(keras)
    assert found(talweg) == ["functional", "functional_2", "functional_5", "functional_7"]
