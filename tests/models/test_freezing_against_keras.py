"""Layers that are frozen and thawed between calls of fit, as in Keras."""

from typing import Any

import keras
import numpy as np
import pytest

import talweg
from models.twins import Twins, assert_same_history, assert_same_weights, numbers, twins

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(32)
OPTIONS: dict[str, Any] = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}


def with_base(k: Any, frozen: bool) -> Any:
    layers = [k.layers.Dense(3), k.layers.BatchNormalization()]
    base = k.Sequential([k.Input((4,)), *layers], name="base")
    base.trainable = not frozen
    model = k.Sequential([k.Input((4,)), base, k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(0.05, momentum=0.9), "mse")
    return model


@pytest.mark.sampled
@pytest.mark.parametrize("frozen", [True, False])
def test_a_model_is_evaluated_without_compiling_again(frozen: bool) -> None:
    pair = twins(lambda k: with_base(k, frozen))
    for model in pair:
        model.fit(X, Y, **OPTIONS)
        model.get_layer("base").trainable = frozen
    for measure in (
        lambda model: model.evaluate(X, Y, verbose=0),
        lambda model: model.test_on_batch(X, Y),
        lambda model: model.predict(X, verbose=0),
    ):
        np.testing.assert_allclose(measure(pair.talweg), measure(pair.keras), rtol=1e-5, atol=1e-6)


def test_thawed_layers_need_an_optimizer_that_knows_them() -> None:
    """As in Keras, which leaves a model without weights behind when it says so."""
    refusing = twins(lambda k: with_base(k, frozen=True))
    for model in refusing:
        model.fit(X, Y, **OPTIONS)
        model.get_layer("base").trainable = True
        with pytest.raises(ValueError, match=r"built (on|with)"):
            model.fit(X, Y, **OPTIONS)
    ours = refusing.talweg
    ours.evaluate(X, Y, verbose=0)
    ours.compile(talweg.optimizers.SGD(0.05), "mse")
    before = ours.get_layer("base").get_weights()
    ours.fit(X, Y, **OPTIONS)
    assert not np.array_equal(ours.get_layer("base").get_weights()[0], before[0])


def test_layers_that_the_optimizer_knows_are_frozen_and_thawed_without_compiling() -> None:
    """Which Keras refuses too."""
    model = with_base(talweg, frozen=False)
    base = model.get_layer("base")
    model.fit(X, Y, **OPTIONS)
    start = base.get_weights()
    base.trainable = False
    model.evaluate(X, Y, verbose=0)
    model.fit(X, Y, **OPTIONS)
    for one, other in zip(base.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)
    base.trainable = True
    model.fit(X, Y, **OPTIONS)
    assert not np.array_equal(base.get_weights()[0], start[0])


def test_an_optimizer_says_what_it_takes() -> None:
    one, two = talweg.Variable([1.0]), talweg.Variable([1.0])
    optimizer = talweg.optimizers.SGD(0.1)
    assert optimizer.takes([one, two])
    optimizer.build([one])
    assert optimizer.takes([one])
    assert not optimizer.takes([one, two])


def fine_tuned(k: Any, in_call: bool) -> Any:
    """The pattern of the guide to transfer learning: a base that is called as in inference."""
    x = k.Input((4,))
    hidden = k.layers.BatchNormalization()(k.layers.Dense(3)(x))
    base = k.Model(x, k.layers.Dropout(0.5)(hidden), name="base")
    base.trainable = False

    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.head = base, k.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.head(self.base(x, training=False))

    if in_call:
        model = Net()
    else:
        inputs = k.Input((4,))
        model = k.Model(inputs, k.layers.Dense(1)(base(inputs, training=False)))
    model.compile(k.optimizers.SGD(0.05), "mse")
    return model


@pytest.mark.parametrize("in_call", [True, False])
def test_a_base_called_as_in_inference_stays_so_when_it_is_thawed(in_call: bool) -> None:
    """Keras 3.15 lets the flag of `fit` win in a graph, against its guide, and not in a call."""
    pair = Twins(fine_tuned(keras, in_call=True), fine_tuned(talweg, in_call))
    for model in pair:
        model(X[:2])
    pair.talweg.set_weights(pair.keras.get_weights())
    for k, model in pair.each():
        model.fit(X, Y, **OPTIONS)
        model.get_layer("base").trainable = True
        model.compile(k.optimizers.SGD(0.02), "mse")
    statistics = pair.talweg.get_layer("base").non_trainable_weights
    before = [v.numpy() for v in statistics]
    assert_same_history(*(model.fit(X, Y, **OPTIONS) for model in reversed(pair)))
    assert_same_weights(pair)
    for variable, value in zip(statistics, before, strict=True):
        np.testing.assert_array_equal(variable, value)
