"""Control flow of keras.ops in layers: while_loop, cond, scan, fori_loop, map, switch, vectorized_map."""
import keras
import numpy as np
from keras import layers, ops


class Halting(layers.Layer):
    """Applies a dense layer until the state is small enough, ten times at most."""

    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units, activation="tanh")

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        def go_on(step, state):
            return ops.logical_and(step < 4, ops.mean(ops.abs(state)) > 0.05)

        def body(step, state):
            return step + 1, 0.7 * self.dense(state)

        _, state = ops.while_loop(go_on, body, (0, x), maximum_iterations=10)
        return ops.stop_gradient(state)

    def compute_output_shape(self, input_shape):
        return input_shape


class Recurrence(layers.Layer):
    """A linear recurrence with a learned decay, by scan."""

    def build(self, input_shape):
        self.decay = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="decay")

    def call(self, x):
        rate = ops.sigmoid(self.decay)

        def step(carry, now):
            carry = rate * carry + (1 - rate) * now
            return carry, carry

        last, states = ops.scan(step, ops.zeros_like(x[:, 0]), ops.swapaxes(x, 0, 1))
        return ops.swapaxes(states, 0, 1), last


class Powers(layers.Layer):
    def __init__(self, count):
        super().__init__()
        self.count = count

    def call(self, x):
        return ops.fori_loop(0, self.count, lambda i, acc: acc * 0.5 + x / (i + 1), ops.zeros_like(x))


class Noisy(layers.Layer):
    """Takes one branch while it trains and another else, by a value and not by a flag."""

    def __init__(self):
        super().__init__()
        self.steps = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="steps"
        )

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1)
        return ops.cond(self.steps > 3, lambda: x * 2.0, lambda: x * 1.0)


rng = np.random.default_rng(23)
x = rng.normal(size=(64, 5, 3)).astype("float32")
y = np.cumsum(x, axis=1)[:, -1, :1].astype("float32")
inputs = keras.Input((5, 3))
states, last = Recurrence()(inputs)
halted = Halting(3)(last)
powers = Powers(3)(last)
merged = layers.Concatenate()([layers.Flatten()(states), halted, powers])
noisy = Noisy()
outputs = layers.Dense(1)(noisy(merged))
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.SGD(0.05), "mse")
history = model.fit(x, y, batch_size=16, epochs=3, verbose=0)
print("loss", [round(v, 4) for v in history.history["loss"]], "steps", int(noisy.steps.numpy()))
print("shapes", states.shape, last.shape, halted.shape, powers.shape)
print("predicted", np.round(model.predict(x[:3], verbose=0).ravel(), 3))

print("map", np.asarray(ops.map(lambda row: ops.sum(row) * 2, np.arange(6.0).reshape(3, 2))).tolist())
print("vectorized", np.asarray(ops.vectorized_map(lambda row: row[::-1], np.arange(4).reshape(2, 2))).tolist())
branches = [lambda v: v + 1, lambda v: v * 10, lambda v: -v]
print("switch", [float(ops.switch(i, branches, 3.0)) for i in range(3)])
total, parts = ops.scan(lambda c, v: (c + v, c * v), 0.0, np.arange(1.0, 5.0), reverse=True)
print("scan", float(total), np.asarray(parts).tolist())
print("associative", np.asarray(ops.associative_scan(lambda a, b: a + b, np.arange(5))).tolist())
print("while", [int(v) for v in ops.while_loop(lambda i, s: s < 20, lambda i, s: (i + 1, s + i), (1, 0))])
print("dynamic", np.asarray(ops.slice(np.arange(9).reshape(3, 3), [1, 0], [2, 2])).tolist())
print("scatter", np.asarray(ops.scatter(np.array([[0], [2]]), np.array([1.0, 2.0]), (4,))).tolist())
print("updated", np.asarray(ops.scatter_update(np.zeros(3), np.array([[1]]), np.array([7.0]))).tolist())
print("unstack", len(ops.unstack(x, axis=1)))
