"""The rate found by a callback, then one cycle by another that sets it at every batch."""
import math

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

K = keras.backend
np.random.seed(42)
tf.random.set_seed(42)

X_train = np.random.randn(1280, 10).astype("float32")
y_train = np.argmax(X_train[:, :4] + 0.5 * np.random.randn(1280, 4), axis=1)


class ExponentialLearningRate(keras.callbacks.Callback):
    def __init__(self, factor):
        self.factor = factor
        self.rates = []
        self.losses = []

    def on_batch_end(self, batch, logs):
        self.rates.append(K.get_value(self.model.optimizer.lr))
        self.losses.append(logs["loss"])
        K.set_value(self.model.optimizer.lr, self.model.optimizer.lr * self.factor)


def find_learning_rate(model, X, y, epochs=1, batch_size=32, min_rate=10**-5, max_rate=10):
    init_weights = model.get_weights()
    iterations = math.ceil(len(X) / batch_size) * epochs
    factor = np.exp(np.log(max_rate / min_rate) / iterations)
    init_lr = K.get_value(model.optimizer.lr)
    K.set_value(model.optimizer.lr, min_rate)
    exp_lr = ExponentialLearningRate(factor)
    model.fit(X, y, epochs=epochs, batch_size=batch_size, callbacks=[exp_lr], verbose=0)
    K.set_value(model.optimizer.lr, init_lr)
    model.set_weights(init_weights)
    return exp_lr.rates, exp_lr.losses


class OneCycleScheduler(keras.callbacks.Callback):
    def __init__(self, iterations, max_rate, start_rate=None, last_iterations=None, last_rate=None):
        self.iterations = iterations
        self.max_rate = max_rate
        self.start_rate = start_rate or max_rate / 10
        self.last_iterations = last_iterations or iterations // 10 + 1
        self.half_iteration = (iterations - self.last_iterations) // 2
        self.last_rate = last_rate or self.start_rate / 1000
        self.iteration = 0
        self.seen = []

    def _interpolate(self, iter1, iter2, rate1, rate2):
        return (rate2 - rate1) * (self.iteration - iter1) / (iter2 - iter1) + rate1

    def on_batch_begin(self, batch, logs):
        if self.iteration < self.half_iteration:
            rate = self._interpolate(0, self.half_iteration, self.start_rate, self.max_rate)
        elif self.iteration < 2 * self.half_iteration:
            rate = self._interpolate(self.half_iteration, 2 * self.half_iteration,
                                     self.max_rate, self.start_rate)
        else:
            rate = self._interpolate(2 * self.half_iteration, self.iterations,
                                     self.start_rate, self.last_rate)
        self.iteration += 1
        K.set_value(self.model.optimizer.lr, rate)
        self.seen.append(float(K.get_value(self.model.optimizer.lr)))


model = keras.models.Sequential([
    keras.layers.Dense(24, activation="selu", kernel_initializer="lecun_normal", input_shape=[10]),
    keras.layers.Dense(4, activation="softmax"),
])
model.compile(loss="sparse_categorical_crossentropy",
              optimizer=keras.optimizers.SGD(lr=1e-3), metrics=["accuracy"])

batch_size = 64
rates, losses = find_learning_rate(model, X_train, y_train, epochs=1, batch_size=batch_size)
plt.plot(rates, losses)
plt.gca().set_xscale("log")
print("rates", len(rates), float(rates[0]), round(float(rates[-1]), 3))
print("losses", round(float(losses[0]), 3), round(float(losses[10]), 3))
print("rate is back", round(float(K.get_value(model.optimizer.lr)), 6))

n_epochs = 3
onecycle = OneCycleScheduler(math.ceil(len(X_train) / batch_size) * n_epochs, max_rate=0.05)
history = model.fit(X_train, y_train, epochs=n_epochs, batch_size=batch_size,
                    callbacks=[onecycle], verbose=0)
print("cycle", [round(rate, 5) for rate in onecycle.seen[::10]])
print("loss", [round(loss, 3) for loss in history.history["loss"]])
