"""A training loop with TensorFlow's tape: talweg has none, and says what to write."""
import numpy as np
import tensorflow as tf
from tensorflow import keras

model = keras.models.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.Nadam(learning_rate=0.01)
loss_fn = keras.losses.MeanSquaredError()
X, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")

for step in range(3):
    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(X, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
