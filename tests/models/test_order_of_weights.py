"""The order of the weights of layers and models of one's own, as in Keras."""

from typing import Any

import keras
import numpy as np
import pytest

import talweg

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.ones((4, 3), np.float32)
LISTS = (
    "weights", "variables", "trainable_variables", "non_trainable_variables", "trainable_weights",
    "non_trainable_weights",
)  # fmt: skip


def variable(k: Any, size: int, name: str, trainable: bool = True) -> Any:
    return k.Variable(np.ones(size, np.float32), trainable=trainable, name=name)


def in_a_model(k: Any) -> Any:
    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = k.layers.Dense(2)
            self.scale = variable(k, 2, "scale")
            self.still = variable(k, 1, "still", trainable=False)
            self.added = self.add_weight(shape=(5,), name="added")

        def call(self, x: Any) -> Any:
            return self.first(x) * self.scale

    return Net()


def in_a_layer(k: Any) -> Any:
    class Own(k.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = k.layers.Dense(2)
            self.later: Any = None
            self.added = self.add_weight(shape=(5,), name="added")
            self.still = variable(k, 1, "still", trainable=False)
            self.listed = [variable(k, 7, "listed")]
            self.seed = k.random.SeedGenerator(1)

        def build(self, shape: Any) -> None:
            self.bias = self.add_weight(shape=(9,), name="bias")
            self.later = variable(k, 4, "later")
            self.inner.build(shape)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    return k.Sequential([Own(), k.layers.Dense(1)])


def frozen(k: Any) -> Any:
    model = in_a_model(k)
    model.first.trainable = False
    return model


def beside_a_graph(k: Any) -> Any:
    class Net(k.Model):
        def __init__(self) -> None:
            self.before = k.layers.Dense(4)
            self.before.build((None, 2))
            self.first = k.layers.Dense(2)
            x = k.Input((3,))
            super().__init__(x, k.layers.Dense(2)(self.first(x)))
            self.after = [k.Sequential([k.Input((2,)), k.layers.Dense(5)])]
            self.scale = variable(k, 2, "scale")

    return Net()


@pytest.mark.parametrize("make", [in_a_model, in_a_layer, frozen, beside_a_graph])
def test_weights_stand_in_the_order_of_keras(make: Any, tmp_path: Any) -> None:
    ours, theirs = make(talweg), make(keras)
    for model in (ours, theirs):
        model(X)
    for name in LISTS:
        mine, reference = (
            [(v.path.rpartition("/")[2], tuple(v.shape)) for v in getattr(model, name)]
            for model in (ours, theirs)
        )
        assert mine == reference, name
    theirs.set_weights([np.full(w.shape, i, w.dtype) for i, w in enumerate(theirs.get_weights())])
    theirs.save_weights(tmp_path / "keras.weights.h5")
    ours.load_weights(tmp_path / "keras.weights.h5")
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, reference)


def test_layers_beside_the_graph_train_and_are_no_part_of_it() -> None:
    model = beside_a_graph(talweg)
    assert [layer.name for layer in model.layers[1:]] == [model.first.name, model.layers[-1].name]
    assert model.count_params() == sum(w.size for w in model.get_weights()) == 43
    model.trainable = False
    assert not model.before.trainable
    assert model.trainable_weights == []
