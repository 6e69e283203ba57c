"""Prices of houses with the functional API: wide and deep, two inputs, two outputs."""
import numpy as np
import tensorflow as tf
from tensorflow import keras

np.random.seed(42)
tf.random.set_seed(42)

X = np.random.randn(700, 8)
y = np.tanh(X[:, 0]) + 0.5 * X[:, 1] * X[:, 2] + 0.1 * np.random.randn(700) + 2
X_train, X_valid, X_test = X[:500], X[500:600], X[600:696]
y_train, y_valid, y_test = y[:500], y[500:600], y[600:696]

# wide and deep on the same input
input_ = keras.layers.Input(shape=X_train.shape[1:])
hidden1 = keras.layers.Dense(30, activation="relu")(input_)
hidden2 = keras.layers.Dense(30, activation="relu")(hidden1)
concat = keras.layers.concatenate([input_, hidden2])
output = keras.layers.Dense(1)(concat)
model = keras.models.Model(inputs=[input_], outputs=[output])
model.compile(loss="mean_squared_error", optimizer=keras.optimizers.SGD(learning_rate=1e-2))
history = model.fit(X_train, y_train, epochs=4, validation_data=(X_valid, y_valid), verbose=0)
mse_test = model.evaluate(X_test, y_test, verbose=0)
print("mse", round(mse_test, 4), round(history.history["val_loss"][-1], 4))
print(model.predict(X_test[:3], verbose=0).shape, model.count_params())

# two inputs
input_A = keras.layers.Input(shape=[5], name="wide_input")
input_B = keras.layers.Input(shape=[6], name="deep_input")
hidden1 = keras.layers.Dense(30, activation="relu")(input_B)
hidden2 = keras.layers.Dense(30, activation="relu")(hidden1)
concat = keras.layers.concatenate([input_A, hidden2])
output = keras.layers.Dense(1, name="output")(concat)
aux_output = keras.layers.Dense(1, name="aux_output")(hidden2)
model = keras.models.Model(inputs=[input_A, input_B], outputs=[output, aux_output])
model.compile(loss=["mse", "mse"], loss_weights=[0.9, 0.1],
              optimizer=keras.optimizers.SGD(learning_rate=1e-2))

X_train_A, X_train_B = X_train[:, :5], X_train[:, 2:]
X_valid_A, X_valid_B = X_valid[:, :5], X_valid[:, 2:]
X_test_A, X_test_B = X_test[:, :5], X_test[:, 2:]
history = model.fit([X_train_A, X_train_B], [y_train, y_train], epochs=4, verbose=0,
                    validation_data=([X_valid_A, X_valid_B], [y_valid, y_valid]))
print(sorted(name for name in history.history if name != "learning_rate"))
results = model.evaluate([X_test_A, X_test_B], [y_test, y_test], verbose=0, return_dict=True)
print({name: round(value, 4) for name, value in sorted(results.items())})
y_pred_main, y_pred_aux = model.predict([X_test_A[:3], X_test_B[:3]], verbose=0)
print(y_pred_main.round(3).tolist(), y_pred_aux.round(3).tolist())

# inputs and targets by name
model.compile(loss={"output": "mse", "aux_output": "mae"}, optimizer="sgd",
              loss_weights={"output": 0.8, "aux_output": 0.2},
              metrics={"output": [keras.metrics.RootMeanSquaredError(name="rmse")]})
model.fit({"wide_input": X_train_A, "deep_input": X_train_B},
          {"output": y_train, "aux_output": y_train}, epochs=1, batch_size=50, verbose=0)
results = model.evaluate({"wide_input": X_test_A, "deep_input": X_test_B},
                         {"output": y_test, "aux_output": y_test}, verbose=0, return_dict=True)
print({name: round(value, 4) for name, value in sorted(results.items())})
