"""The first program from import to evaluate: `python whole_process.py PACKAGE EPOCHS`."""

import importlib
import sys

import numpy as np

keras = importlib.import_module(sys.argv[1])
epochs = int(sys.argv[2])

random = np.random.default_rng(0)
x = random.normal(size=(2500, 20)).astype("float32")
y = (x @ np.linspace(-1, 1, 20) + random.normal(size=2500) > 0).astype("float32")
x_train, y_train, x_test, y_test = x[:2000], y[:2000], x[2000:], y[2000:]

model = keras.Sequential()
model.add(keras.Input((20,)))
model.add(keras.layers.Dense(64, activation="relu"))
model.add(keras.layers.Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(), metrics=["accuracy"])
model.fit(x_train, y_train, epochs=epochs, batch_size=10, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
assert accuracy > 0.75, f"learned nothing: accuracy {accuracy}"
