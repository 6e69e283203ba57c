import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(400, 4)).astype("float32")
y = (x[:, :1] + rng.normal(size=(400, 1)) > 0).astype("float32")
x_train, x_val, y_train, y_val = x[:300], x[300:], y[:300], y[300:]

import tensorflow as tf

model = tf.keras.models.Sequential([
    tf.keras.layers.Dense(64, activation='relu', input_shape=(4,)),
    tf.keras.layers.Dense(1, activation='sigmoid'),
])
model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=0.01), loss='binary_crossentropy', metrics=['accuracy'])

reduce_lr = tf.keras.callbacks.ReduceLROnPlateau(monitor='val_loss', factor=0.1, patience=5, min_lr=0.0001)
history = model.fit(x_train, y_train, epochs=60, validation_data=(x_val, y_val), callbacks=[reduce_lr], verbose=0)
print("first rate", round(history.history['learning_rate'][0], 6))
print("last rate", round(history.history['learning_rate'][-1], 6))


def scheduler(epoch, lr):
    if epoch < 3:
        return lr
    else:
        return lr * float(tf.math.exp(-0.1))


model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss='binary_crossentropy')
print("rate before", round(float(model.optimizer.learning_rate.numpy()), 5))
callback = tf.keras.callbacks.LearningRateScheduler(scheduler)
history = model.fit(x_train, y_train, epochs=6, callbacks=[callback], verbose=0)
print("epochs", len(history.history['loss']))
print("rate after", round(float(model.optimizer.learning_rate.numpy()), 5))
