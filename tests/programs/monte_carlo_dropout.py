"""Dropout that stays on at prediction, as a measure of doubt; max-norm; clone of the model."""
import numpy as np
import keras

rng = np.random.default_rng(10)
X_train = rng.normal(size=(400, 12)).astype("float32")
y_train = np.argmax(X_train[:, :3], axis=1)
X_test = rng.normal(size=(50, 12)).astype("float32")

model = keras.Sequential([
    keras.layers.Input((12,)),
    keras.layers.Dropout(rate=0.2),
    keras.layers.Dense(40, activation="relu", kernel_initializer="he_normal",
                       kernel_constraint=keras.constraints.MaxNorm(1.)),
    keras.layers.Dropout(rate=0.2),
    keras.layers.Dense(3, activation="softmax"),
])
model.compile(loss="sparse_categorical_crossentropy",
              optimizer=keras.optimizers.SGD(learning_rate=0.1, momentum=0.9, nesterov=True),
              metrics=["accuracy"])
history = model.fit(X_train, y_train, epochs=5, verbose=0)
print("loss", round(history.history["loss"][-1], 3))
norms = np.linalg.norm(model.layers[1].get_weights()[0], axis=0)
print("norms", norms.max() < 1.0001)

y_probas = np.stack([model(X_test, training=True) for sample in range(30)])
y_proba = y_probas.mean(axis=0)
y_std = y_probas.std(axis=0)
print(y_probas.shape, "doubt", 0.01 < y_std.mean() < 0.4)
print("certain", float(np.std([model(X_test) for _ in range(3)], axis=0).max()) == 0.0)


class MCDropout(keras.layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


mc_model = keras.Sequential([
    MCDropout(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer
    for layer in model.layers
])
mc_model.build((None, 12))
mc_model.set_weights(model.get_weights())
several = np.stack([mc_model.predict(X_test[:1], verbose=0) for _ in range(20)])
print("still on", float(several.std(axis=0).mean()) > 0.005)
near = np.mean([mc_model.predict(X_test, verbose=0) for _ in range(30)], axis=0)
print("near", float(np.abs(near - y_proba).mean()) < 0.05)

clone = keras.models.clone_model(model)
clone.set_weights(model.get_weights())
print("clone", np.allclose(clone.predict(X_test, verbose=0), model.predict(X_test, verbose=0), atol=1e-6))
