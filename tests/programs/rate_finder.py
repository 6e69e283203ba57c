"""Cyclical rates and a rate finder as the blogs wrote them for Keras 2, with plots left out."""
import math

import numpy as np
import keras
from keras import backend as K
from keras.callbacks import Callback, LambdaCallback
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD


class CyclicLR(Callback):
    def __init__(self, base_lr=0.001, max_lr=0.006, step_size=2000., mode='triangular', gamma=1., scale_fn=None, scale_mode='cycle'):
        super(CyclicLR, self).__init__()
        self.base_lr = base_lr
        self.max_lr = max_lr
        self.step_size = step_size
        self.mode = mode
        self.gamma = gamma
        if scale_fn is None:
            if self.mode == 'triangular':
                self.scale_fn = lambda x: 1.
                self.scale_mode = 'cycle'
            elif self.mode == 'triangular2':
                self.scale_fn = lambda x: 1 / (2. ** (x - 1))
                self.scale_mode = 'cycle'
            elif self.mode == 'exp_range':
                self.scale_fn = lambda x: gamma ** (x)
                self.scale_mode = 'iterations'
        else:
            self.scale_fn = scale_fn
            self.scale_mode = scale_mode
        self.clr_iterations = 0.
        self.trn_iterations = 0.
        self.history = {}
        self._reset()

    def _reset(self, new_base_lr=None, new_max_lr=None, new_step_size=None):
        if new_base_lr is not None:
            self.base_lr = new_base_lr
        self.clr_iterations = 0.

    def clr(self):
        cycle = np.floor(1 + self.clr_iterations / (2 * self.step_size))
        x = np.abs(self.clr_iterations / self.step_size - 2 * cycle + 1)
        scale = self.scale_fn(cycle if self.scale_mode == 'cycle' else self.clr_iterations)
        return self.base_lr + (self.max_lr - self.base_lr) * np.maximum(0, (1 - x)) * scale

    def on_train_begin(self, logs={}):
        logs = logs or {}
        if self.clr_iterations == 0:
            K.set_value(self.model.optimizer.lr, self.base_lr)
        else:
            K.set_value(self.model.optimizer.lr, self.clr())

    def on_batch_end(self, epoch, logs=None):
        logs = logs or {}
        self.trn_iterations += 1
        self.clr_iterations += 1
        self.history.setdefault('lr', []).append(K.get_value(self.model.optimizer.lr))
        self.history.setdefault('iterations', []).append(self.trn_iterations)
        for k, v in logs.items():
            self.history.setdefault(k, []).append(v)
        K.set_value(self.model.optimizer.lr, self.clr())


class LRFinder:
    def __init__(self, model):
        self.model = model
        self.losses = []
        self.lrs = []
        self.best_loss = 1e9

    def on_batch_end(self, batch, logs):
        lr = K.get_value(self.model.optimizer.lr)
        self.lrs.append(lr)
        loss = logs['loss']
        self.losses.append(loss)
        if batch > 5 and (math.isnan(loss) or loss > self.best_loss * 4):
            self.model.stop_training = True
            return
        if loss < self.best_loss:
            self.best_loss = loss
        lr *= self.lr_mult
        K.set_value(self.model.optimizer.lr, lr)

    def find(self, x_train, y_train, start_lr, end_lr, batch_size=64, epochs=1):
        num_batches = epochs * x_train.shape[0] / batch_size
        self.lr_mult = (float(end_lr) / float(start_lr)) ** (float(1) / float(num_batches))
        self.model.save_weights('tmp.h5')
        original_lr = K.get_value(self.model.optimizer.lr)
        K.set_value(self.model.optimizer.lr, start_lr)
        callback = LambdaCallback(on_batch_end=lambda batch, logs: self.on_batch_end(batch, logs))
        self.model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, callbacks=[callback], verbose=0)
        self.model.load_weights('tmp.h5')
        K.set_value(self.model.optimizer.lr, original_lr)

    def get_derivatives(self, sma):
        derivatives = [0] * sma
        for i in range(sma, len(self.lrs)):
            derivatives.append((self.losses[i] - self.losses[i - sma]) / sma)
        return derivatives


class SGDRScheduler(Callback):
    def __init__(self, min_lr, max_lr, steps_per_epoch, lr_decay=1, cycle_length=10, mult_factor=2):
        self.min_lr, self.max_lr, self.lr_decay = min_lr, max_lr, lr_decay
        self.batch_since_restart = 0
        self.next_restart = cycle_length
        self.steps_per_epoch = steps_per_epoch
        self.cycle_length = cycle_length
        self.mult_factor = mult_factor
        self.history = {}

    def clr(self):
        fraction_to_restart = self.batch_since_restart / (self.steps_per_epoch * self.cycle_length)
        return self.min_lr + 0.5 * (self.max_lr - self.min_lr) * (1 + np.cos(fraction_to_restart * np.pi))

    def on_train_begin(self, logs={}):
        logs = logs or {}
        K.set_value(self.model.optimizer.lr, self.max_lr)

    def on_batch_end(self, batch, logs={}):
        logs = logs or {}
        self.history.setdefault('lr', []).append(K.get_value(self.model.optimizer.lr))
        self.batch_since_restart += 1
        K.set_value(self.model.optimizer.lr, self.clr())

    def on_epoch_end(self, epoch, logs={}):
        if epoch + 1 == self.next_restart:
            self.batch_since_restart = 0
            self.cycle_length = np.ceil(self.cycle_length * self.mult_factor)
            self.next_restart += self.cycle_length
            self.max_lr *= self.lr_decay
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs={}):
        self.model.set_weights(self.best_weights)


rng = np.random.RandomState(3)
X = rng.rand(160, 6).astype('float32')
Y = (X.sum(axis=1) > 3).astype('float32')
model = Sequential()
model.add(Dense(12, input_dim=6, kernel_initializer='he_normal', activation='relu'))
model.add(Dense(1, activation='sigmoid'))
model.compile(loss='binary_crossentropy', optimizer=SGD(lr=0.05, momentum=0.9), metrics=['accuracy'])
finder = LRFinder(model)
finder.find(X, Y, 1e-3, 5, 16, 2)
print('tried', len(finder.lrs), round(float(finder.lrs[-1]), 4), round(float(min(finder.losses)), 4))
print('derivatives', [round(float(d), 3) for d in finder.get_derivatives(4)[4:8]])
clr = CyclicLR(base_lr=0.01, max_lr=0.1, step_size=8., mode='triangular2')
h = model.fit(X, Y, batch_size=16, epochs=3, callbacks=[clr], verbose=0)
print('rates', [round(float(v), 4) for v in clr.history['lr'][::5]])
print('loss', [round(v, 4) for v in h.history['loss']])
sgdr = SGDRScheduler(1e-3, 1e-1, np.ceil(160 / 16), cycle_length=1)
h = model.fit(X, Y, batch_size=16, epochs=3, callbacks=[sgdr], verbose=0)
print('warm restarts', [round(float(v), 4) for v in sgdr.history['lr'][::6]])
print('loss', [round(v, 4) for v in h.history['loss']], [round(v, 4) for v in model.evaluate(X, Y, verbose=0)])
