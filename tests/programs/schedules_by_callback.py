"""Power, exponential and piecewise scheduling; plateaus; schedule objects."""
import numpy as np
from tensorflow import keras

rng = np.random.default_rng(9)
X = rng.normal(size=(320, 6)).astype("float32")
y = (X @ rng.normal(size=(6, 1)) + 1).astype("float32")
X_valid, y_valid = X[:64], y[:64]


def compiled(optimizer):
    model = keras.models.Sequential([keras.layers.Dense(8, activation="elu", input_shape=(6,)),
                                     keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer=optimizer)
    return model


def show(name, values, digits=6):
    print(name, [round(float(value), digits) for value in values])


# exponential, as a function of the epoch
def exponential_decay_fn(epoch):
    return 0.01 * 0.1 ** (epoch / 20)


def exponential_decay(lr0, s):
    def exponential_decay_fn(epoch):
        return lr0 * 0.1 ** (epoch / s)
    return exponential_decay_fn


history = compiled("nadam").fit(X, y, epochs=4, verbose=0, callbacks=[
    keras.callbacks.LearningRateScheduler(exponential_decay_fn)])
show("exponential", history.history["learning_rate"])
history = compiled("nadam").fit(X, y, epochs=2, verbose=0, callbacks=[
    keras.callbacks.LearningRateScheduler(exponential_decay(lr0=0.02, s=10))])
show("closure", history.history["learning_rate"])


# the schedule looks at the present rate
def from_the_present(epoch, lr):
    return lr * 0.1 ** (1 / 20)


model = compiled(keras.optimizers.Nadam(learning_rate=0.01))
history = model.fit(X, y, epochs=4, verbose=0, callbacks=[
    keras.callbacks.LearningRateScheduler(from_the_present)])
show("from the present", history.history["learning_rate"])
show("loss", history.history["loss"], 3)


# piecewise constant
def piecewise_constant(boundaries, values):
    boundaries = np.array([0] + boundaries)
    values = np.array(values)

    def piecewise_constant_fn(epoch):
        return float(values[(boundaries > epoch).argmax() - 1])
    return piecewise_constant_fn


schedule = keras.callbacks.LearningRateScheduler(piecewise_constant([1, 3], [0.01, 0.005, 0.001]))
history = compiled("nadam").fit(X, y, epochs=4, verbose=0, callbacks=[schedule])
show("piecewise", history.history["learning_rate"])

# performance
lr_scheduler = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=10.0)
model = compiled(keras.optimizers.SGD(learning_rate=0.02, momentum=0.9))
history = model.fit(X, y, epochs=5, validation_data=(X_valid, y_valid), verbose=0,
                    callbacks=[lr_scheduler])
show("plateau", history.history["learning_rate"])

# schedule objects, followed at every step
s = 20 * len(X) // 32
for learning_rate in (
    keras.optimizers.schedules.ExponentialDecay(0.01, s, 0.1),
    keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries=[5., 15.], values=[0.01, 0.005, 0.001]),
    keras.optimizers.schedules.InverseTimeDecay(0.01, decay_steps=10, decay_rate=1.0),
    keras.optimizers.schedules.PolynomialDecay(0.05, 15, end_learning_rate=0.001, power=2.0),
):
    optimizer = keras.optimizers.SGD(learning_rate)
    model = compiled(optimizer)
    model.fit(X, y, epochs=2, verbose=0)
    print(type(learning_rate).__name__, int(optimizer.iterations),
          round(float(learning_rate(int(optimizer.iterations))), 6),
          round(float(model.evaluate(X, y, verbose=0)), 3))
