"""A subclassed wide-and-deep model, its weights saved and read again."""
import os
import tempfile

import numpy as np
from tensorflow import keras

np.random.seed(1)
X_A, X_B = np.random.randn(300, 5), np.random.randn(300, 6)
y = (X_A[:, :1] + X_B[:, :1] * X_B[:, 1:2]).astype("float32")


class WideAndDeepModel(keras.models.Model):
    def __init__(self, units=30, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.norm_layer_wide = keras.layers.Normalization()
        self.norm_layer_deep = keras.layers.Normalization()
        self.hidden1 = keras.layers.Dense(units, activation=activation)
        self.hidden2 = keras.layers.Dense(units, activation=activation)
        self.main_output = keras.layers.Dense(1)
        self.aux_output = keras.layers.Dense(1)

    def call(self, inputs):
        input_wide, input_deep = inputs
        norm_wide = self.norm_layer_wide(input_wide)
        norm_deep = self.norm_layer_deep(input_deep)
        hidden1 = self.hidden1(norm_deep)
        hidden2 = self.hidden2(hidden1)
        concat = keras.layers.concatenate([norm_wide, hidden2])
        output = self.main_output(concat)
        aux_output = self.aux_output(hidden2)
        return output, aux_output


model = WideAndDeepModel(30, activation="relu", name="my_cool_model")
model.compile(loss=["mse", "mse"], loss_weights=[0.9, 0.1],
              optimizer=keras.optimizers.Adam(learning_rate=1e-3),
              metrics=[["RootMeanSquaredError"], ["RootMeanSquaredError"]])
model.norm_layer_wide.adapt(X_A)
model.norm_layer_deep.adapt(X_B)
history = model.fit((X_A, X_B), (y, y), epochs=3, verbose=0)
print("loss", round(history.history["loss"][-1], 4))
eval_results = model.evaluate((X_A, X_B), (y, y), return_dict=True, verbose=0)
print("loss again", round(eval_results["loss"], 4))
y_pred_main, y_pred_aux = model.predict((X_A[:3], X_B[:3]), verbose=0)
print(y_pred_main.shape, y_pred_aux.shape)
print(model.name, len(model.layers), len(model.trainable_variables))

path = os.path.join(tempfile.mkdtemp(), "my_keras_weights.weights.h5")
model.save_weights(path)
before = model.predict((X_A[:3], X_B[:3]), verbose=0)[0]
model.hidden1.set_weights([np.zeros_like(w) for w in model.hidden1.get_weights()])
changed = model.predict((X_A[:3], X_B[:3]), verbose=0)[0]
model.load_weights(path)
after = model.predict((X_A[:3], X_B[:3]), verbose=0)[0]
print("changed", not np.allclose(before, changed), "restored", np.allclose(before, after))
