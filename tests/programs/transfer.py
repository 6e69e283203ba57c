"""Layers of one model in another: frozen, compiled anew, thawed."""
import numpy as np
from tensorflow import keras

rng = np.random.default_rng(11)
centers = rng.normal(size=(10, 16)).astype("float32")


def split(classes, count):
    y = rng.integers(0, len(classes), count)
    return centers[classes][y] + 0.6 * rng.normal(size=(count, 16)).astype("float32"), y


X_A, y_A = split([0, 1, 2, 3, 4, 7, 8, 9], 640)
X_B, y_B = split([5, 6], 40)
X_B_test, y_B_test = split([5, 6], 200)
y_B, y_B_test = y_B.astype("float32"), y_B_test.astype("float32")

model_A = keras.models.Sequential(name="A")
model_A.add(keras.layers.Input(shape=[16]))
for n_hidden in (30, 20, 20):
    model_A.add(keras.layers.Dense(n_hidden, activation="selu"))
model_A.add(keras.layers.Dense(8, activation="softmax"))
model_A.compile(loss="sparse_categorical_crossentropy",
                optimizer=keras.optimizers.SGD(learning_rate=0.05), metrics=["accuracy"])
history = model_A.fit(X_A, y_A, epochs=4, verbose=0)
print("A", round(history.history["loss"][-1], 3))

model_A_clone = keras.models.clone_model(model_A)
model_A_clone.set_weights(model_A.get_weights())
model_B_on_A = keras.models.Sequential(model_A_clone.layers[:-1])
model_B_on_A.add(keras.layers.Dense(1, activation="sigmoid"))
before = model_A_clone.layers[0].get_weights()[0].copy()

for layer in model_B_on_A.layers[:-1]:
    layer.trainable = False
optimizer = keras.optimizers.SGD(learning_rate=0.05)
model_B_on_A.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
print("trainable", len(model_B_on_A.trainable_weights), "of", len(model_B_on_A.weights))
history = model_B_on_A.fit(X_B, y_B, epochs=4, validation_data=(X_B_test, y_B_test), verbose=0)
print("frozen", round(history.history["val_loss"][-1], 3))
print("unmoved", np.array_equal(before, model_B_on_A.layers[0].get_weights()[0]))

for layer in model_B_on_A.layers[:-1]:
    layer.trainable = True
optimizer = keras.optimizers.SGD(learning_rate=0.01)
model_B_on_A.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
history = model_B_on_A.fit(X_B, y_B, epochs=6, validation_data=(X_B_test, y_B_test), verbose=0)
print("thawed", round(history.history["val_loss"][-1], 3))
after = model_B_on_A.layers[0].get_weights()[0]
print("moved, and the shared clone too", not np.array_equal(before, after),
      np.array_equal(after, model_A_clone.layers[0].get_weights()[0]))
print("the first model is as it was", np.array_equal(before, model_A.layers[0].get_weights()[0]))
print("B", round(model_B_on_A.evaluate(X_B_test, y_B_test, verbose=0)[1], 2) > 0.8)

# part of a functional model by the name of a layer
inputs = keras.Input((16,))
features = keras.layers.Dense(12, activation="tanh", name="features")(inputs)
whole = keras.Model(inputs, keras.layers.Dense(2)(features))
extractor = keras.Model(inputs=whole.inputs, outputs=whole.get_layer("features").output)
print(extractor.predict(X_B[:2], verbose=0).shape, len(extractor.weights))
