"""A course's sweep over rates, read off history["lr"]; then pixels from channels, by tf.nn."""
import numpy as np
import tensorflow as tf

tf.keras.backend.clear_session()
tf.random.set_seed(51)
np.random.seed(51)

series = np.sin(np.arange(100) / 5.0).astype("float32") + 0.01 * np.arange(100)
windows = np.stack([series[i:i + 8] for i in range(80)]).astype("float32")
targets = np.stack([series[i + 8] for i in range(80)]).astype("float32")

model = tf.keras.models.Sequential([
    tf.keras.layers.Dense(10, activation="relu", input_shape=[8]),
    tf.keras.layers.Dense(1),
])
lr_schedule = tf.keras.callbacks.LearningRateScheduler(lambda epoch: 1e-4 * 10 ** (epoch / 2))
model.compile(loss=tf.keras.losses.Huber(), optimizer=tf.keras.optimizers.SGD(momentum=0.9))
history = model.fit(windows, targets, epochs=6, verbose=0, callbacks=[lr_schedule])
for lr, loss in zip(history.history["lr"], history.history["loss"]):
    print("rate", round(float(lr), 5), "loss", round(loss, 3))
best = np.argmin(history.history["loss"])
print("best", round(history.history["lr"][best], 5))
print("rate now", round(tf.keras.backend.get_value(model.optimizer.lr), 5))
mae = tf.keras.metrics.mean_absolute_error(targets, model.predict(windows, verbose=0)[:, 0])
print("mae", round(mae.numpy(), 2))

# an upscaler, which ends in pixels made of channels
small = np.random.default_rng(5).random((16, 4, 4, 1)).astype("float32")
large = small.repeat(2, axis=1).repeat(2, axis=2)
inputs = tf.keras.Input(shape=(4, 4, 1))
x = tf.keras.layers.Conv2D(8, 3, padding="same", activation="tanh")(inputs)
x = tf.keras.layers.Conv2D(4, 3, padding="same")(x)
outputs = tf.keras.layers.Lambda(lambda image: tf.nn.depth_to_space(image, 2))(x)
upscaler = tf.keras.Model(inputs, outputs)
upscaler.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss="mse")
losses = upscaler.fit(small, large, batch_size=8, epochs=3, verbose=0).history["loss"]
print("upscaled", upscaler.output_shape, [round(loss, 3) for loss in losses])
try:
    upscaler.predict(small[:, :, :3], verbose=0)
except (ValueError, tf.errors.InvalidArgumentError):
    print("another shape is refused")
copy = tf.keras.models.clone_model(upscaler)
copy.set_weights(upscaler.get_weights())
print("cloned", np.allclose(copy.predict(small, verbose=0), upscaler.predict(small, verbose=0)))
