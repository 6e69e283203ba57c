"""Rates as Keras 2 wrote them: legacy optimizers, lr, model.optimizer.lr, decay, set_value."""
import math

import numpy as np
import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras.callbacks import Callback, LearningRateScheduler
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

tf.keras.backend.clear_session()
rng = np.random.RandomState(3)
X = rng.normal(size=(200, 5)).astype("float32")
Y = (X.dot(np.array([1., -2., 0.5, 0., 3.])) + 0.1)[:, None].astype("float32")


def build(optimizer):
    model = Sequential()
    model.add(Dense(6, input_dim=5, kernel_initializer='uniform', activation='tanh'))
    model.add(Dense(1, kernel_initializer='normal'))
    model.compile(loss='mse', optimizer=optimizer)
    return model


# legacy optimizers, with lr and decay
for optimizer in (tf.keras.optimizers.legacy.Adam(lr=0.01),
                  tf.keras.optimizers.legacy.SGD(learning_rate=0.01, momentum=0.9, decay=0.01),
                  tf.keras.optimizers.legacy.RMSprop(lr=0.005, rho=0.9)):
    model = build(optimizer)
    history = model.fit(X, Y, epochs=3, batch_size=20, verbose=0)
    print(type(optimizer).__name__, [round(loss, 4) for loss in history.history['loss']])

# learning rate schedule by steps, through LearningRateScheduler
def step_decay(epoch):
    initial_lrate = 0.1
    drop = 0.5
    epochs_drop = 2.0
    return initial_lrate * math.pow(drop, math.floor((1 + epoch) / epochs_drop))


model = build(tf.keras.optimizers.legacy.SGD(lr=0.0, momentum=0.5))
history = model.fit(X, Y, epochs=4, batch_size=20, verbose=0, callbacks=[LearningRateScheduler(step_decay)])
print('drops', [round(loss, 4) for loss in history.history['loss']],
      round(float(K.get_value(model.optimizer.lr)), 4))


# the rate is halved by hand when the loss falls slowly
class Halve(Callback):
    def on_epoch_end(self, epoch, logs={}):
        lr = K.get_value(self.model.optimizer.lr)
        K.set_value(self.model.optimizer.lr, lr * 0.5)


model = build(tf.keras.optimizers.legacy.Adam(learning_rate=0.02))
model.fit(X, Y, epochs=3, batch_size=50, callbacks=[Halve()], verbose=0)
print('halved', round(float(model.optimizer.lr.numpy()), 5))
model.optimizer.lr = 0.3
print('assigned', round(float(K.get_value(model.optimizer.learning_rate)), 4))
model.optimizer.lr.assign(0.2)
print('assigned', round(float(K.eval(model.optimizer.lr)), 4), int(K.get_value(model.optimizer.iterations)))
print('weights', [w.shape for w in model.get_weights()])
print('loss', round(float(model.train_on_batch(X[:50], Y[:50])), 2), round(float(model.test_on_batch(X[:50], Y[:50])), 2) > 0)
