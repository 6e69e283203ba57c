"""Forecasting waves: naive, linear, recurrent, ten steps at once, a stack of convolutions."""
import numpy as np
import tensorflow as tf
from tensorflow import keras


def generate_time_series(batch_size, n_steps):
    freq1, freq2, offsets1, offsets2 = np.random.rand(4, batch_size, 1)
    time = np.linspace(0, 1, n_steps)
    series = 0.5 * np.sin((time - offsets1) * (freq1 * 10 + 10))
    series += 0.2 * np.sin((time - offsets2) * (freq2 * 20 + 20))
    series += 0.1 * (np.random.rand(batch_size, n_steps) - 0.5)
    return series[..., np.newaxis].astype(np.float32)


np.random.seed(42)
tf.random.set_seed(42)
n_steps = 20
series = generate_time_series(400, n_steps + 5)
X_train, X_valid = series[:300, :n_steps], series[300:, :n_steps]
y_train, y_valid = series[:300, n_steps], series[300:, n_steps]

y_pred = X_valid[:, -1]
print("naive", round(float(np.mean(keras.losses.mean_squared_error(y_valid, y_pred))), 4))


def fit_and_evaluate(name, model, y_train, y_valid, metrics=None, epochs=2, learning_rate=0.01):
    optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
    model.compile(loss="mse", optimizer=optimizer, metrics=metrics)
    history = model.fit(X_train, y_train, epochs=epochs, verbose=0,
                        validation_data=(X_valid, y_valid))
    print(name, round(history.history["val_loss"][-1], 4))
    return history


fit_and_evaluate("linear", keras.models.Sequential([
    keras.layers.Flatten(input_shape=[n_steps, 1]),
    keras.layers.Dense(1),
]), y_train, y_valid)

fit_and_evaluate("recurrent", keras.models.Sequential([
    keras.layers.SimpleRNN(8, return_sequences=True, input_shape=[None, 1]),
    keras.layers.SimpleRNN(8),
    keras.layers.Dense(1),
]), y_train, y_valid, learning_rate=0.001)

# targets at every step: the next five values
Y = np.empty((400, n_steps, 5), dtype=np.float32)
for step_ahead in range(1, 5 + 1):
    Y[..., step_ahead - 1] = series[..., step_ahead:step_ahead + n_steps, 0]
Y_train, Y_valid = Y[:300], Y[300:]


def last_time_step_mse(Y_true, Y_pred):
    return keras.metrics.mean_squared_error(Y_true[:, -1], Y_pred[:, -1])


model = keras.models.Sequential([
    keras.layers.LSTM(10, return_sequences=True, input_shape=[None, 1]),
    keras.layers.TimeDistributed(keras.layers.Dense(5)),
])
history = fit_and_evaluate("sequence to sequence", model, Y_train, Y_valid, [last_time_step_mse])
print("last step", round(history.history["val_last_time_step_mse"][-1], 4))
print(model.predict(X_valid[:2], verbose=0).shape)

model = keras.models.Sequential()
model.add(keras.layers.Input(shape=[None, 1]))
for rate in (1, 2, 4):
    model.add(keras.layers.Conv1D(filters=6, kernel_size=2, padding="causal",
                                  activation="relu", dilation_rate=rate))
model.add(keras.layers.Conv1D(filters=5, kernel_size=1))
fit_and_evaluate("convolutions", model, Y_train, Y_valid, [last_time_step_mse])
