"""Keras 2 as it was written in 2017: submodules, np_utils, lr= and decay=, K.get_value."""
from __future__ import print_function

import numpy as np

rng = np.random.RandomState(7)
centers = rng.uniform(0, 255, size=(10, 8, 8, 1))
labels = rng.randint(0, 10, size=600)
images = np.clip(centers[labels] + rng.normal(0, 25, size=(600, 8, 8, 1)), 0, 255).astype("uint8")

import keras
from keras import backend as K
from keras.callbacks import EarlyStopping
from keras.layers import Activation, BatchNormalization, LeakyReLU
from keras.layers.convolutional import Conv2D, MaxPooling2D
from keras.layers.core import Dense, Dropout, Flatten
from keras.models import Sequential
from keras.optimizers import SGD
from keras.regularizers import l2
from keras.utils import np_utils

nb_classes = 10
if K.image_data_format() == 'channels_first':
    images = images.transpose(0, 3, 1, 2)
X = images.astype('float32')
X /= 255
Y = np_utils.to_categorical(labels, nb_classes)
X_train, X_test, Y_train, Y_test = X[:500], X[500:], Y[:500], Y[500:]
print('X_train shape:', X_train.shape)

model = Sequential()
model.add(Conv2D(8, (3, 3), padding='same', input_shape=X_train.shape[1:], kernel_regularizer=l2(1e-4)))
model.add(BatchNormalization())
model.add(LeakyReLU())
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.1))
model.add(Flatten())
model.add(Dense(32))
model.add(Activation('relu'))
model.add(Dense(nb_classes))
model.add(Activation('softmax'))
model.summary()

sgd = SGD(lr=0.05, decay=1e-3, momentum=0.9, nesterov=True)
model.compile(loss='categorical_crossentropy', optimizer=sgd, metrics=['accuracy'])
early = EarlyStopping(monitor='val_loss', patience=5, mode='auto')
model.fit(X_train, Y_train, batch_size=50, epochs=12, verbose=2, validation_split=0.1, callbacks=[early])
score = model.evaluate(X_test, Y_test, verbose=0)
print('accuracy', score[1])
print('rate below the first', float(K.get_value(model.optimizer.lr)) < 0.05)
print('weights', len(model.get_weights()))
