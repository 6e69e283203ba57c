"""Keras 3: ops, a layer of one's own, random seeds, serialization, arguments of the script."""
import argparse

import numpy as np

import keras
from keras import layers, ops

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()

keras.utils.set_random_seed(42)


@keras.saving.register_keras_serializable()
class Linear(layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", trainable=True
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units}


rng = np.random.default_rng(0)
x = rng.normal(size=(512, 8)).astype("float32")
y = np.tanh(x @ rng.normal(size=(8, 3)).astype("float32"))

model = keras.Sequential([keras.Input((8,)), Linear(24), layers.ReLU(), Linear(3)])
model.compile(keras.optimizers.RMSprop(1e-2), keras.losses.Huber(), metrics=["mae"])
history = model.fit(x, y, epochs=options.epochs, batch_size=32, shuffle=False, verbose=0)
print("epochs", len(history.history["loss"]))
print("mae", model.evaluate(x, y, verbose=0)[1])
print("parameters", model.count_params())

again = Linear.from_config(model.layers[0].get_config())
print("units", again.units)
