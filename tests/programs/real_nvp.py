"""Density estimation with Real NVP: coupling layers, a loss of one's own."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops, regularizers

output_dim = 16
reg = 0.01


def Coupling(input_shape):
    inputs = keras.layers.Input(shape=(input_shape,))
    t = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(inputs)
    t = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(t)
    t = layers.Dense(input_shape, activation="linear", kernel_regularizer=regularizers.l2(reg))(t)
    s = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(inputs)
    s = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(s)
    s = layers.Dense(input_shape, activation="tanh", kernel_regularizer=regularizers.l2(reg))(s)
    return keras.Model(inputs=inputs, outputs=[s, t])


class Gaussian:
    def __init__(self, loc, scale_diag, seed=1337):
        self.loc = loc
        self.scale_diag = scale_diag
        self.seed_generator = keras.random.SeedGenerator(seed)

    def log_prob(self, x):
        z = (x - self.loc) / self.scale_diag
        return ops.sum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), axis=-1) - ops.sum(
            ops.log(self.scale_diag)
        )

    def sample(self, n):
        return self.loc + self.scale_diag * keras.random.normal(
            (n, len(self.loc)), seed=self.seed_generator
        )


class RealNVP(keras.Model):
    def __init__(self, num_coupling_layers):
        super().__init__()
        self.num_coupling_layers = num_coupling_layers
        self.distribution = Gaussian(
            ops.convert_to_tensor([0.0, 0.0]), ops.convert_to_tensor([1.0, 1.0])
        )
        self.masks = np.array([[0, 1], [1, 0]] * (num_coupling_layers // 2), dtype="float32")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.layers_list = [Coupling(2) for i in range(num_coupling_layers)]

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, x, training=True):
        log_det_inv = 0
        direction = 1
        if training:
            direction = -1
        for i in range(self.num_coupling_layers)[::direction]:
            x_masked = x * self.masks[i]
            reversed_mask = 1 - self.masks[i]
            s, t = self.layers_list[i](x_masked)
            s *= reversed_mask
            t *= reversed_mask
            gate = (direction - 1) / 2
            x = (
                reversed_mask * (x * ops.exp(direction * s) + direction * t * ops.exp(gate * s))
                + x_masked
            )
            log_det_inv += gate * ops.sum(s, axis=[1])
        return x, log_det_inv

    def log_loss(self, trainable_variables, non_trainable_variables, x):
        (y, logdet), non_trainable_variables, losses = self.stateless_call(
            trainable_variables, non_trainable_variables, x, return_losses=True
        )
        log_likelihood = self.distribution.log_prob(y) + logdet
        return -ops.mean(log_likelihood) + 0.01 * sum(losses), non_trainable_variables

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        (x,) = data if isinstance(data, tuple) else (data,)
        grad_fn = jax.value_and_grad(self.log_loss, has_aux=True)
        (loss, non_trainable), g = grad_fn(trainable, non_trainable, x)
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, g, trainable
        )
        metrics_variables = self.loss_tracker.stateless_update_state(metrics_variables, loss)
        logs = {"loss": self.loss_tracker.stateless_result(metrics_variables)}
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def test_step(self, state, data):
        trainable, non_trainable, metrics_variables = state
        (x,) = data if isinstance(data, tuple) else (data,)
        loss, non_trainable = self.log_loss(trainable, non_trainable, x)
        metrics_variables = self.loss_tracker.stateless_update_state(metrics_variables, loss)
        logs = {"loss": self.loss_tracker.stateless_result(metrics_variables)}
        return logs, (trainable, non_trainable, metrics_variables)


rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 300)
moons = np.stack([np.cos(angle), np.sin(angle)], 1)
moons[150:] = [1.0, 0.5] - moons[150:]
rng.shuffle(moons)
norm = layers.Normalization()
norm.adapt(moons)
normalized_data = norm(moons)

model = RealNVP(num_coupling_layers=4)
model(normalized_data[:2])
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.003))
history = model.fit(
    normalized_data, batch_size=64, epochs=5, verbose=0, validation_split=0.2
)
print("loss", [round(v, 4) for v in history.history["loss"]])
print("val_loss", [round(v, 4) for v in history.history["val_loss"]])
z, logdet = model(normalized_data)
print("z", z.shape, logdet.shape, round(float(ops.mean(logdet)), 3))
samples = model.distribution.sample(50)
x, _ = model.predict(samples, verbose=0)
print("samples", x.shape, np.round(x.mean(0), 3))
print("losses", len(model.losses), "weights", len(model.weights))
