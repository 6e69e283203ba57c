"""A Keras layer inside a model of talweg computes and learns as in one of Keras."""

import keras
import numpy as np
import pytest

import talweg
from talweg.adapters import keras_layer

_rng = np.random.default_rng(0)
X, Y = _rng.normal(size=(16, 4)).astype("float32"), _rng.normal(size=(16, 2)).astype("float32")
IMAGES = _rng.uniform(0, 255, (4, 8, 8, 3)).astype("float32")


class Scaled(keras.layers.Layer):
    """A layer of a user's, with a weight, a state and a loss."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x, training=False):
        if training:
            self.calls.assign(self.calls.value + 1)
        self.add_loss(0.1 * keras.ops.sum(self.scale.value**2))
        return x * self.scale.value


def test_fit_gives_what_keras_gives():
    first, last = keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(2)
    theirs = keras.Sequential([keras.Input((4,)), first, Scaled(), last])
    theirs.compile(keras.optimizers.SGD(0.1), "mse")
    weights = [np.asarray(variable.value) for variable in theirs.weights]
    own = talweg.layers
    wrapped = keras_layer(Scaled())
    ours = talweg.Sequential(
        [talweg.Input((4,)), own.Dense(8, activation="tanh"), wrapped, own.Dense(2)]
    )
    ours.compile(talweg.optimizers.SGD(0.1), "mse")
    ours.set_weights(weights)
    options = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    expected = theirs.fit(X, Y, **options).history["loss"]
    np.testing.assert_allclose(ours.fit(X, Y, **options).history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), atol=1e-5)
    wrapped.write_back()
    assert float(wrapped.module.calls.value) == 4
    np.testing.assert_allclose(wrapped.module.scale.value, wrapped.params[0].numpy())


def test_a_built_layer_brings_its_weights():
    dense = keras.layers.Dense(3)
    expected = np.asarray(dense(X))
    x = talweg.Input((4,))
    model = talweg.Model(x, keras_layer(dense)(x))
    assert model.output_shape == (None, 3)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.RandomGrayscale(0.5, seed=1),
        pytest.param(lambda: keras.layers.RandomHue(0.2, seed=1), marks=pytest.mark.battery),
        pytest.param(lambda: keras.layers.RandomErasing(seed=1), marks=pytest.mark.battery),
    ],
    ids=["grayscale", "hue", "erasing"],
)
def test_image_layers_that_talweg_lacks_change_images_in_training_only(make):
    layer = keras_layer(make())
    assert not np.allclose(layer(IMAGES, training=True), IMAGES, atol=1)
    np.testing.assert_allclose(layer(IMAGES, training=False), IMAGES, rtol=1e-5)
    model = talweg.Sequential([layer, talweg.layers.Flatten(), talweg.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(IMAGES / 255, np.ones((4, 1)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_weights_travel_by_file_and_the_config_is_refused(tmp_path):
    def made():
        return talweg.Sequential([talweg.Input((4,)), keras_layer(keras.layers.Dense(3))])

    model, other = made(), made()
    model.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    with pytest.raises(TypeError, match="write_back"):
        model.save(tmp_path / "a.keras")


def test_what_is_no_keras_layer_is_refused():
    with pytest.raises(TypeError, match="layer must be"):
        keras_layer(talweg.layers.Dense(1))
