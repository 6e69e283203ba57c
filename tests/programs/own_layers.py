"""Initializers, regularizers, constraints, activations and layers of one's own."""
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

rng = np.random.default_rng(6)
X_train = rng.normal(size=(320, 8)).astype("float32")
y_train = np.sin(X_train[:, :1]) + X_train[:, 1:2] ** 2


def my_softplus(z):
    return tf.math.log(1.0 + tf.exp(z))


def my_initializer(shape, dtype=tf.float32):
    numbers = np.cos(np.arange(np.prod(shape))).reshape(shape)
    return tf.constant(numbers * np.sqrt(2. / (shape[0] + shape[1])), dtype=dtype)


def my_l1_regularizer(weights):
    return tf.reduce_sum(tf.abs(0.01 * weights))


def my_positive_weights(weights):
    return tf.where(weights < 0., tf.zeros_like(weights), weights)


class MyL1Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return tf.reduce_sum(tf.abs(self.factor * weights))

    def get_config(self):
        return {"factor": self.factor}


model = keras.models.Sequential([
    keras.layers.Input(shape=(8,)),
    keras.layers.Dense(30, activation="relu", kernel_initializer=my_initializer),
    keras.layers.Dense(1, activation=my_softplus, kernel_initializer=my_initializer,
                       kernel_regularizer=my_l1_regularizer,
                       kernel_constraint=my_positive_weights),
])
model.compile(loss="mse", optimizer="nadam", metrics=["mae"])
history = model.fit(X_train, y_train, epochs=2, verbose=0)
print("parts", round(history.history["loss"][-1], 4), round(history.history["mae"][-1], 4))
print("positive", bool((model.layers[-1].get_weights()[0] >= 0).all()))

folder = tempfile.mkdtemp()
parts = {"my_l1_regularizer": my_l1_regularizer, "my_positive_weights": my_positive_weights,
         "my_initializer": my_initializer, "my_softplus": my_softplus}
model.save(os.path.join(folder, "many_custom_parts.keras"))
again = keras.models.load_model(os.path.join(folder, "many_custom_parts.keras"),
                                custom_objects=parts)
print("same", np.allclose(model.predict(X_train, verbose=0), again.predict(X_train, verbose=0)))

exponential_layer = keras.layers.Lambda(lambda x: tf.exp(x))
print("exponential", exponential_layer(tf.constant([-1., 0., 1.])).numpy().round(3).tolist())


class MyDense(keras.layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=[batch_input_shape[-1], self.units], initializer="he_normal")
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zeros")
        super().build(batch_input_shape)  # must be at the end

    def call(self, X):
        return self.activation(X @ self.kernel + self.bias)

    def compute_output_shape(self, batch_input_shape):
        return tuple(batch_input_shape[:-1]) + (self.units,)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "units": self.units,
                "activation": keras.activations.serialize(self.activation)}


class MyMultiLayer(keras.layers.Layer):
    def call(self, X):
        X1, X2 = X
        return X1 + X2, X1 * X2


class MyGaussianNoise(keras.layers.Layer):
    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev
        self.seed = keras.random.SeedGenerator(1)

    def call(self, X, training=None):
        if training:
            return X + keras.random.normal(tf.shape(X), stddev=self.stddev, seed=self.seed)
        return X

    def compute_output_shape(self, batch_input_shape):
        return batch_input_shape


model = keras.models.Sequential([
    keras.layers.Input(shape=(8,)),
    MyGaussianNoise(stddev=0.1),
    MyDense(30, activation="relu"),
    MyDense(1),
])
model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.01))
history = model.fit(X_train, y_train, epochs=4, verbose=0)
print("falls", history.history["loss"][-1] < history.history["loss"][0])
model.evaluate(X_train, y_train, verbose=0)
config = model.layers[1].get_config()
print(config["units"], config["activation"], MyDense.from_config(config).compute_output_shape((None, 8)))
first, second = MyMultiLayer()((tf.constant([1., 2.]), tf.constant([3., 4.])))
print(first.numpy().tolist(), second.numpy().tolist())
print("trainable", [tuple(v.shape) for v in model.trainable_variables])
inference = [model.predict(X_train[:4], verbose=0) for _ in range(2)]
print("no noise", np.array_equal(*inference))
