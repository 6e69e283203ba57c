"""Losses and a streaming metric of one's own; a model with them comes back from its file."""
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

rng = np.random.default_rng(5)
X_train = rng.normal(size=(320, 8)).astype("float32")
y_train = (2 * X_train[:, :1] + rng.standard_t(2, size=(320, 1))).astype("float32")


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    is_small_error = tf.abs(error) < 1
    squared_loss = tf.square(error) / 2
    linear_loss = tf.abs(error) - 0.5
    return tf.where(is_small_error, squared_loss, linear_loss)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        is_small_error = tf.abs(error) < threshold
        squared_loss = tf.square(error) / 2
        linear_loss = threshold * tf.abs(error) - threshold ** 2 / 2
        return tf.where(is_small_error, squared_loss, linear_loss)
    return huber_fn


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.huber_fn = create_huber(threshold)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        sample_metrics = self.huber_fn(y_true, y_pred)
        self.total.assign_add(tf.reduce_sum(sample_metrics))
        self.count.assign_add(tf.cast(tf.size(y_true), tf.float32))

    def result(self):
        return self.total / self.count

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


def new_model():
    return keras.models.Sequential([
        keras.layers.Input(shape=(8,)),
        keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"),
        keras.layers.Dense(1),
    ])


model = new_model()
model.compile(loss=huber_fn, optimizer="nadam", metrics=["mae"])
history = model.fit(X_train, y_train, epochs=2, verbose=0)
print("function", round(history.history["loss"][-1], 4), round(history.history["mae"][-1], 4))

folder = tempfile.mkdtemp()
model.save(os.path.join(folder, "with_a_function.keras"))
model = keras.models.load_model(os.path.join(folder, "with_a_function.keras"),
                                custom_objects={"huber_fn": huber_fn})
print("read", round(model.evaluate(X_train, y_train, verbose=0)[0], 4))

model.compile(loss=create_huber(2.0), optimizer="nadam", metrics=[create_huber(2.0)])
history = model.fit(X_train, y_train, epochs=1, verbose=0)
print("factory", round(history.history["loss"][-1], 4), round(history.history["huber_fn"][-1], 4))

model = new_model()
model.compile(loss=HuberLoss(2.), optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
              metrics=[HuberMetric(2.0)])
history = model.fit(X_train, y_train, epochs=2, verbose=0)
print("class", round(history.history["loss"][-1], 4), sorted(history.history)[:1])
model.save(os.path.join(folder, "with_a_class.keras"))
again = keras.models.load_model(os.path.join(folder, "with_a_class.keras"),
                                custom_objects={"HuberLoss": HuberLoss, "HuberMetric": HuberMetric})
print("threshold", again.loss.threshold)
print("read", np.round(again.evaluate(X_train, y_train, verbose=0), 4).tolist())

m = HuberMetric(2.)
m.update_state(tf.constant([[2.]]), tf.constant([[10.]]))
print("streamed", float(m.result()))
m.update_state(tf.constant([[0.], [5.]]), tf.constant([[1.], [9.25]]))
print("streamed", float(m.result()))
m.reset_state()
m(tf.constant([[2.]]), tf.constant([[10.]]))
print("by call", float(m.result()), [v.name for v in m.variables])
precision = keras.metrics.Precision()
precision([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1])
precision.update_state([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0])
print("precision", float(precision.result()))
