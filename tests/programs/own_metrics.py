"""Losses and metrics written with the old backend functions."""
import numpy as np

np.random.seed(1)
X = np.random.rand(500, 6)
y = (X.sum(axis=1, keepdims=True) > 3).astype('float32')

from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential


def recall_m(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    possible_positives = K.sum(K.round(K.clip(y_true, 0, 1)))
    return true_positives / (possible_positives + K.epsilon())


def precision_m(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    predicted_positives = K.sum(K.round(K.clip(y_pred, 0, 1)))
    return true_positives / (predicted_positives + K.epsilon())


def f1_m(y_true, y_pred):
    precision, recall = precision_m(y_true, y_pred), recall_m(y_true, y_pred)
    return 2 * ((precision * recall) / (precision + recall + K.epsilon()))


def rmse(y_true, y_pred):
    return K.sqrt(K.mean(K.square(y_pred - y_true)))


model = Sequential([Dense(16, activation='tanh', input_shape=(6,)), Dense(1, activation='sigmoid')])
model.compile(optimizer='adam', loss=rmse, metrics=['acc', f1_m, precision_m, recall_m])
history = model.fit(X, y, epochs=60, batch_size=20, verbose=0)
print('keys', sorted(history.history))
print('acc', history.history['acc'][-1])
print('f1', history.history['f1_m'][-1])
loss, acc, f1, precision, recall = model.evaluate(X, y, verbose=0)
print('five results', loss < 0.5)
K.clear_session()
