"""Windows over a series: tf.data's window and flat_map, and Keras's own function."""
import numpy as np
import tensorflow as tf

series = (np.sin(np.arange(400) / 9) + np.arange(400) / 400).astype("float32")
split_time, window_size, batch_size = 300, 12, 32
x_train, x_valid = series[:split_time], series[split_time:]

dataset = tf.data.Dataset.range(6)
dataset = dataset.window(4, shift=1, drop_remainder=True)
dataset = dataset.flat_map(lambda window: window.batch(4))
for window in dataset:
    print("window", list(map(int, window)))


def windowed_dataset(series, window_size, batch_size, shuffle_buffer):
    ds = tf.data.Dataset.from_tensor_slices(series)
    ds = ds.window(window_size + 1, shift=1, drop_remainder=True)
    ds = ds.flat_map(lambda w: w.batch(window_size + 1))
    ds = ds.shuffle(shuffle_buffer, seed=42)
    ds = ds.map(lambda w: (w[:-1], w[-1:]), num_parallel_calls=tf.data.AUTOTUNE)
    return ds.batch(batch_size).cache().prefetch(1)


train_set = windowed_dataset(x_train, window_size, batch_size, 100)
valid_set = windowed_dataset(x_valid, window_size, batch_size, 100)
for x, y in train_set.take(1):
    print("batch", tuple(x.shape), tuple(y.shape))
print("batches", sum(1 for _ in train_set))

model = tf.keras.models.Sequential([
    tf.keras.layers.Input((window_size,)),
    tf.keras.layers.Dense(10, activation="relu"),
    tf.keras.layers.Dense(1),
])
model.compile(loss=tf.keras.losses.Huber(),
              optimizer=tf.keras.optimizers.SGD(learning_rate=1e-2, momentum=0.9), metrics=["mae"])
history = model.fit(train_set, epochs=5, validation_data=valid_set, verbose=0)
print("mae", round(history.history["mae"][-1], 4), round(history.history["val_mae"][-1], 4))


def model_forecast(model, series, window_size):
    ds = tf.data.Dataset.from_tensor_slices(series)
    ds = ds.window(window_size, shift=1, drop_remainder=True)
    ds = ds.flat_map(lambda w: w.batch(window_size))
    return model.predict(ds.batch(32).prefetch(1), verbose=0)


forecast = model_forecast(model, series, window_size)
forecast = forecast[split_time - window_size:-1, 0]
error = tf.keras.metrics.MeanAbsoluteError()
error.update_state(x_valid, forecast)
print("forecast", forecast.shape, round(float(error.result()), 4))

train_ds = tf.keras.utils.timeseries_dataset_from_array(
    series[:split_time], targets=series[window_size:split_time], sequence_length=window_size,
    batch_size=batch_size)
for x, y in train_ds.take(1):
    print("function", tuple(x.shape), round(float(y[0]), 4))
history = model.fit(train_ds, epochs=1, verbose=0)
print("mae", round(history.history["mae"][-1], 4))

# joined, repeated, combined
first, second = tf.data.Dataset.range(3), tf.data.Dataset.range(10, 12)
print("joined", [int(n) for n in first.concatenate(second)])
print("endless", [int(n) for n in first.repeat().skip(2).take(5)])
lists = tf.data.Dataset.from_tensor_slices([1, 2]).interleave(
    lambda n: tf.data.Dataset.from_tensors(n).repeat(3), cycle_length=2, block_length=1)
print("interleaved", [int(n) for n in lists])
print("sum", int(tf.data.Dataset.range(5).reduce(np.int64(0), lambda total, n: total + n)))
