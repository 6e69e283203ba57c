import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(320, 4)).astype("float32")
y_train = x_train @ np.ones((4, 1), "float32")

import tensorflow as tf

learning_rate = tf.Variable(0.001, trainable=False)
optimizer = tf.keras.optimizers.Adam(learning_rate=learning_rate)

model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
model.compile(optimizer=optimizer, loss='mse')


class Lower(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            tf.keras.backend.set_value(learning_rate, 0.0001)


history = model.fit(x_train, y_train, epochs=4, callbacks=[Lower()], verbose=2)

print("rate", learning_rate.numpy())
print("rates", [round(rate, 6) for rate in history.history["learning_rate"]])
