"""Clothes in ten classes: tf.keras, callbacks, learning curves, the best model from its file."""
import os
import tempfile

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow import keras

tf.random.set_seed(42)
np.random.seed(42)

fashion_mnist = keras.datasets.fashion_mnist
(X_train_full, y_train_full), (X_test, y_test) = fashion_mnist.load_data()
print(X_train_full.shape, X_train_full.dtype)

X_valid, X_train = X_train_full[:100] / 255., X_train_full[100:] / 255.
y_valid, y_train = y_train_full[:100], y_train_full[100:]
X_test = X_test / 255.
class_names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
               "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]

keras.backend.clear_session()
model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.Dense(30, activation="relu"),
    keras.layers.Dense(20, activation="relu"),
    keras.layers.Dense(10, activation="softmax")
])
print([layer.name for layer in model.layers])
hidden1 = model.layers[1]
print(model.get_layer(hidden1.name) is hidden1)
weights, biases = hidden1.get_weights()
print(weights.shape, biases.shape, biases.sum())

model.compile(loss="sparse_categorical_crossentropy",
              optimizer=keras.optimizers.SGD(learning_rate=0.1),
              metrics=["accuracy"])

folder = tempfile.mkdtemp()
path = os.path.join(folder, "my_fashion_model.keras")
checkpoint_cb = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
early_stopping_cb = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
csv_cb = keras.callbacks.CSVLogger(os.path.join(folder, "log.csv"))
history = model.fit(X_train, y_train, epochs=6, validation_data=(X_valid, y_valid),
                    callbacks=[checkpoint_cb, early_stopping_cb, csv_cb], verbose=0)
print(history.params["epochs"], history.epoch)

curves = pd.DataFrame(history.history)
curves[["loss", "accuracy", "val_loss", "val_accuracy"]].plot(figsize=(8, 5))
plt.grid(True)
plt.gca().set_ylim(0, 1)
plt.savefig(os.path.join(folder, "keras_learning_curves_plot.png"))
print("drawn", os.path.getsize(os.path.join(folder, "keras_learning_curves_plot.png")) > 5000)
for name in ("loss", "val_loss", "val_accuracy"):
    print(name, round(float(curves[name].iloc[-1]), 4))
print("rows of the log", len(pd.read_csv(os.path.join(folder, "log.csv"))))

model = keras.models.load_model(path)
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
print("test", round(loss, 4), round(accuracy, 4))
X_new = X_test[:3]
y_proba = model.predict(X_new, verbose=0)
print(y_proba.round(2).tolist())
y_pred = np.argmax(y_proba, axis=-1)
print(np.array(class_names)[y_pred].tolist())
