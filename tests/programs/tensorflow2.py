"""tf.keras as in TensorFlow 2's guides: a data set, a layer with tf operations, a subclass."""
import logging
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

tf.get_logger().setLevel(logging.ERROR)
tf.random.set_seed(1234)
print("GPUs:", len(tf.config.list_physical_devices('GPU')) >= 0)
print("major", int(tf.__version__.split('.')[0]))

for gpu in tf.config.experimental.list_physical_devices('GPU'):
    tf.config.experimental.set_memory_growth(gpu, True)

inputs = np.random.default_rng(3).uniform(-1, 1, size=(640, 2))
targets = (inputs[:, 0] * inputs[:, 1] > 0).astype('int64')


class Scale(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.factor = tf.Variable(2.0, trainable=True, dtype=tf.float32)

    def call(self, inputs):
        return tf.concat([inputs, tf.square(inputs) * self.factor], axis=-1)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale = Scale()
        self.hidden = layers.Dense(32, activation=tf.nn.relu)
        self.drop = layers.Dropout(0.05)
        self.head = layers.Dense(2)

    def call(self, x, training=False):
        x = self.drop(self.hidden(self.scale(tf.cast(x, tf.float32))), training=training)
        return self.head(x)


@tf.function
def accuracy(model, x, y):
    return tf.reduce_mean(tf.cast(tf.equal(tf.argmax(model(x), axis=1), y), tf.float32))


dataset = tf.data.Dataset.from_tensor_slices((inputs, targets))
train = dataset.take(512).shuffle(512).batch(32).prefetch(tf.data.AUTOTUNE)
test = dataset.skip(512).batch(64)
print("batches", len(train))

model = Net()
model.compile(
    optimizer=tf.keras.optimizers.Adam(0.01),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.SparseCategoricalAccuracy(name='acc')],
)
model.fit(train, epochs=25, validation_data=test, verbose=0)
result = model.evaluate(test, return_dict=True, verbose=0)
print("acc", result['acc'])
print("by hand", accuracy(model, inputs[512:], targets[512:]).numpy())
print("factor moved", float(model.scale.factor.numpy()) != 2.0)

logits = tf.constant([[2.0, 1.0], [0.5, 3.0]])
print("softmax", tf.nn.softmax(logits).numpy().round(3).tolist())
print("one hot", tf.one_hot([1, 0], depth=2).numpy().tolist())
print("shape", tf.shape(logits)[1])
