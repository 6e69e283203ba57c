"""Callbacks that keep the loss of every batch and draw it at the end of every epoch."""
import os
import tempfile

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot as plt
import numpy as np
import keras

os.chdir(tempfile.mkdtemp())
rng = np.random.default_rng(14)
x = rng.normal(size=(256, 10)).astype("float32")
y = (x[:, :2].sum(axis=1) > 0).astype("int32")


class LossHistory(keras.callbacks.Callback):
    def on_train_begin(self, logs):
        self.per_batch_losses = []

    def on_batch_end(self, batch, logs):
        self.per_batch_losses.append(logs.get("loss"))

    def on_epoch_end(self, epoch, logs):
        plt.clf()
        plt.plot(range(len(self.per_batch_losses)), self.per_batch_losses,
                 label="Training loss for each batch")
        plt.xlabel(f"Batch (epoch {epoch})")
        plt.ylabel("Loss")
        plt.legend()
        plt.savefig(f"plot_at_epoch_{epoch}", dpi=40)
        self.per_batch_losses = []


class PrintValTrainRatioCallback(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        ratio = logs["val_loss"] / logs["loss"]
        print(f"val/train: {ratio:.3f}")


class Counted(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = {}

    def _count(self, name):
        self.calls[name] = self.calls.get(name, 0) + 1

    def on_train_begin(self, logs=None): self._count("train begin")
    def on_train_end(self, logs=None): self._count("train end")
    def on_epoch_begin(self, epoch, logs=None): self._count("epoch begin")
    def on_train_batch_begin(self, batch, logs=None): self._count("batch begin")
    def on_train_batch_end(self, batch, logs=None): self._count("batch end")
    def on_test_begin(self, logs=None): self._count("test begin")
    def on_test_batch_end(self, batch, logs=None): self._count("test batch end")
    def on_predict_end(self, logs=None): self._count("predict end")


model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(16, activation="relu"),
                          keras.layers.Dense(2, activation="softmax")])
model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy",
              metrics=["sparse_categorical_accuracy"])
counted = Counted()
stop_early = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 2))
model.fit(x[:192], y[:192], epochs=10, batch_size=32, verbose=0, validation_data=(x[192:], y[192:]),
          callbacks=[LossHistory(), PrintValTrainRatioCallback(), counted, stop_early])
model.predict(x[:8], verbose=0, callbacks=[counted])
print(sorted(counted.calls.items()))
print(sorted(os.listdir(".")))
