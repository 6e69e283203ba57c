import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(320, 4)).astype("float32")
y_train = x_train @ np.ones((4, 1), "float32")

import tensorflow as tf

for optimizer in (
    tf.keras.optimizers.Adam(learning_rate=tf.keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.001, decay_steps=10000, decay_rate=0.96)),
    tf.keras.optimizers.Adam(learning_rate=tf.keras.optimizers.schedules.PiecewiseConstantDecay(boundaries=[20, 30], values=[0.01, 0.005, 0.001])),
    tf.keras.optimizers.SGD(learning_rate=tf.keras.optimizers.schedules.CosineDecay(initial_learning_rate=0.01, decay_steps=40)),
):
    model = tf.keras.models.Sequential()
    model.add(tf.keras.layers.Dense(1, input_shape=(4,)))
    model.compile(optimizer=optimizer, loss='mean_squared_error')
    history = model.fit(x_train, y_train, epochs=4, batch_size=32, verbose=0)
    losses = history.history['loss']
    print("falls", losses[-1] < losses[0])
    print("next rate", round(float(optimizer.learning_rate), 7))
