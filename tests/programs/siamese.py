"""Two branches that share their layers, a distance by Lambda, a contrastive loss: Keras 2."""
from __future__ import absolute_import

import numpy as np
from keras.models import Sequential, Model
from keras.layers import Dense, Input, Lambda
from keras.optimizers import RMSprop
from keras import backend as K


def euclidean_distance(vects):
    x, y = vects
    return K.sqrt(K.maximum(K.sum(K.square(x - y), axis=1, keepdims=True), K.epsilon()))


def eucl_dist_output_shape(shapes):
    shape1, shape2 = shapes
    return (shape1[0], 1)


def contrastive_loss(y_true, y_pred):
    '''Contrastive loss from Hadsell-et-al.'06'''
    margin = 1
    y_true = K.cast(y_true, y_pred.dtype)
    return K.mean(y_true * K.square(y_pred) +
                  (1 - y_true) * K.square(K.maximum(margin - y_pred, 0)))


def create_base_network(input_dim):
    seq = Sequential()
    seq.add(Dense(16, input_shape=(input_dim,), activation='relu'))
    seq.add(Dense(8, activation='relu'))
    return seq


def compute_accuracy(predictions, labels):
    return np.mean((predictions.ravel() < 0.5) == labels)


rng = np.random.RandomState(4)
centers = rng.normal(size=(4, 12))
digits = rng.randint(0, 4, size=400)
X = (centers[digits] + 0.3 * rng.normal(size=(400, 12))).astype('float32')
pairs = np.stack([rng.randint(0, 400, size=600), rng.randint(0, 400, size=600)], axis=1)
pairs[:200, 1] = [rng.choice(np.flatnonzero(digits == digits[i])) for i in pairs[:200, 0]]
y = (digits[pairs[:, 0]] == digits[pairs[:, 1]]).astype('float32')
rng.shuffle(order := np.arange(600))
tr_pairs, tr_y = X[pairs][order], y[order]

input_dim = 12
base_network = create_base_network(input_dim)
input_a = Input(shape=(input_dim,))
input_b = Input(shape=(input_dim,))
processed_a = base_network(input_a)
processed_b = base_network(input_b)
distance = Lambda(euclidean_distance, output_shape=eucl_dist_output_shape)([processed_a, processed_b])
model = Model(inputs=[input_a, input_b], outputs=distance)

rms = RMSprop(lr=0.005)
model.compile(loss=contrastive_loss, optimizer=rms)
history = model.fit([tr_pairs[:, 0], tr_pairs[:, 1]], tr_y, batch_size=50, epochs=5, verbose=0)
print('loss', [round(float(loss), 4) for loss in history.history['loss']])
pred = model.predict([tr_pairs[:, 0], tr_pairs[:, 1]], verbose=0)
print('* Accuracy on training set: %0.2f%%' % (100 * compute_accuracy(pred, tr_y)))
print('shared', len(model.weights), len(base_network.weights))
