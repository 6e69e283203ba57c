"""Denoising diffusion implicit models: two networks, a moving average, a step of one's own."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import math

import jax
import keras
import numpy as np
from keras import layers, ops

image_size = 8
embedding_dims = 8
embedding_max_frequency = 100.0
widths = [4, 8]
block_depth = 1
batch_size = 16
ema = 0.9
min_signal_rate, max_signal_rate = 0.02, 0.95


@keras.saving.register_keras_serializable()
def sinusoidal_embedding(x):
    embedding_min_frequency = 1.0
    frequencies = ops.exp(
        ops.linspace(
            ops.log(embedding_min_frequency),
            ops.log(embedding_max_frequency),
            embedding_dims // 2,
        )
    )
    angular_speeds = ops.cast(2.0 * math.pi * frequencies, "float32")
    return ops.concatenate(
        [ops.sin(angular_speeds * x), ops.cos(angular_speeds * x)], axis=3
    )


def ResidualBlock(width):
    def apply(x):
        input_width = x.shape[3]
        if input_width == width:
            residual = x
        else:
            residual = layers.Conv2D(width, kernel_size=1)(x)
        x = layers.BatchNormalization(center=False, scale=False)(x)
        x = layers.Conv2D(width, kernel_size=3, padding="same", activation="swish")(x)
        x = layers.Conv2D(width, kernel_size=3, padding="same")(x)
        x = layers.Add()([x, residual])
        return x

    return apply


def DownBlock(width, block_depth):
    def apply(x):
        x, skips = x
        for _ in range(block_depth):
            x = ResidualBlock(width)(x)
            skips.append(x)
        x = layers.AveragePooling2D(pool_size=2)(x)
        return x

    return apply


def UpBlock(width, block_depth):
    def apply(x):
        x, skips = x
        x = layers.UpSampling2D(size=2, interpolation="bilinear")(x)
        for _ in range(block_depth):
            x = layers.Concatenate()([x, skips.pop()])
            x = ResidualBlock(width)(x)
        return x

    return apply


def get_network(image_size, widths, block_depth):
    noisy_images = keras.Input(shape=(image_size, image_size, 3))
    noise_variances = keras.Input(shape=(1, 1, 1))

    e = layers.Lambda(sinusoidal_embedding, output_shape=(1, 1, embedding_dims))(noise_variances)
    e = layers.UpSampling2D(size=image_size, interpolation="nearest")(e)

    x = layers.Conv2D(widths[0], kernel_size=1)(noisy_images)
    x = layers.Concatenate()([x, e])

    skips = []
    for width in widths[:-1]:
        x = DownBlock(width, block_depth)([x, skips])
    for _ in range(block_depth):
        x = ResidualBlock(widths[-1])(x)
    for width in reversed(widths[:-1]):
        x = UpBlock(width, block_depth)([x, skips])

    x = layers.Conv2D(3, kernel_size=1, kernel_initializer="zeros")(x)
    return keras.Model([noisy_images, noise_variances], x, name="residual_unet")


class DiffusionModel(keras.Model):
    def __init__(self, image_size, widths, block_depth):
        super().__init__()
        self.normalizer = layers.Normalization()
        self.network = get_network(image_size, widths, block_depth)
        self.ema_network = keras.models.clone_model(self.network)
        self.seed_generator = keras.random.SeedGenerator(42)
        self.built = True

    def compile(self, loss_fn, **kwargs):
        super().compile(**kwargs)
        self.loss_fn = loss_fn
        self.noise_loss_tracker = keras.metrics.Mean(name="n_loss")
        self.image_loss_tracker = keras.metrics.Mean(name="i_loss")

    @property
    def metrics(self):
        return [self.noise_loss_tracker, self.image_loss_tracker]

    def denormalize(self, images):
        images = self.normalizer.mean + images * self.normalizer.variance**0.5
        return ops.clip(images, 0.0, 1.0)

    def diffusion_schedule(self, diffusion_times):
        start_angle = ops.cast(ops.arccos(max_signal_rate), "float32")
        end_angle = ops.cast(ops.arccos(min_signal_rate), "float32")
        diffusion_angles = start_angle + diffusion_times * (end_angle - start_angle)
        signal_rates = ops.cos(diffusion_angles)
        noise_rates = ops.sin(diffusion_angles)
        return noise_rates, signal_rates

    def denoise(self, noisy_images, noise_rates, signal_rates, training):
        network = self.network if training else self.ema_network
        pred_noises = network([noisy_images, noise_rates**2], training=training)
        pred_images = (noisy_images - noise_rates * pred_noises) / signal_rates
        return pred_noises, pred_images

    def reverse_diffusion(self, initial_noise, diffusion_steps):
        num_images = initial_noise.shape[0]
        step_size = 1.0 / diffusion_steps
        next_noisy_images = initial_noise
        for step in range(diffusion_steps):
            noisy_images = next_noisy_images
            diffusion_times = ops.ones((num_images, 1, 1, 1)) - step * step_size
            noise_rates, signal_rates = self.diffusion_schedule(diffusion_times)
            pred_noises, pred_images = self.denoise(
                noisy_images, noise_rates, signal_rates, training=False
            )
            next_diffusion_times = diffusion_times - step_size
            next_noise_rates, next_signal_rates = self.diffusion_schedule(next_diffusion_times)
            next_noisy_images = next_signal_rates * pred_images + next_noise_rates * pred_noises
        return pred_images

    def generate(self, num_images, diffusion_steps):
        initial_noise = keras.random.normal(
            shape=(num_images, image_size, image_size, 3), seed=7
        )
        generated_images = self.reverse_diffusion(initial_noise, diffusion_steps)
        return self.denormalize(generated_images)

    def noised(self, images, training):
        images = self.normalizer(images, training=training)
        noises = keras.random.normal(shape=ops.shape(images), seed=self.seed_generator)
        diffusion_times = keras.random.uniform(
            shape=(ops.shape(images)[0], 1, 1, 1), minval=0.0, maxval=1.0,
            seed=self.seed_generator,
        )
        noise_rates, signal_rates = self.diffusion_schedule(diffusion_times)
        return images, noises, noise_rates, signal_rates

    def compute_losses(self, trainable_variables, non_trainable_variables, images):
        mapping = list(zip(self.trainable_variables, trainable_variables)) + list(
            zip(self.non_trainable_variables, non_trainable_variables)
        )
        with keras.StatelessScope(state_mapping=mapping) as scope:
            images, noises, noise_rates, signal_rates = self.noised(images, True)
            noisy_images = signal_rates * images + noise_rates * noises
            pred_noises, pred_images = self.denoise(
                noisy_images, noise_rates, signal_rates, training=True
            )
            noise_loss = ops.mean(self.loss_fn(noises, pred_noises))
            image_loss = ops.mean(self.loss_fn(images, pred_images))
        non_trainable_variables = [
            scope.get_current_value(v) for v in self.non_trainable_variables
        ]
        return noise_loss, (image_loss, non_trainable_variables)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        images = data[0] if isinstance(data, tuple) else data
        grad_fn = jax.value_and_grad(self.compute_losses, has_aux=True)
        (noise_loss, (image_loss, non_trainable)), grads = grad_fn(
            trainable, non_trainable, images
        )
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, grads, trainable
        )
        # the moving average of the weights
        n = len(self.network.trainable_variables)
        trainable = list(trainable)
        for i in range(n):
            trainable[n + i] = ema * trainable[n + i] + (1 - ema) * trainable[i]
        mapping = list(zip(self.metrics_variables, metrics_variables))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self.noise_loss_tracker.update_state(noise_loss)
            self.image_loss_tracker.update_state(image_loss)
            logs = {m.name: m.result() for m in self.metrics}
        metrics_variables = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def test_step(self, state, data):
        trainable, non_trainable, metrics_variables = state
        images = data[0] if isinstance(data, tuple) else data
        mapping = [
            *zip(self.trainable_variables, trainable),
            *zip(self.non_trainable_variables, non_trainable),
            *zip(self.metrics_variables, metrics_variables),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            images, noises, noise_rates, signal_rates = self.noised(images, False)
            noisy_images = signal_rates * images + noise_rates * noises
            pred_noises, pred_images = self.denoise(
                noisy_images, noise_rates, signal_rates, training=False
            )
            self.noise_loss_tracker.update_state(ops.mean(self.loss_fn(noises, pred_noises)))
            self.image_loss_tracker.update_state(ops.mean(self.loss_fn(images, pred_images)))
            logs = {m.name: m.result() for m in self.metrics}
        non_trainable = [scope.get_current_value(v) for v in self.non_trainable_variables]
        metrics_variables = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (trainable, non_trainable, metrics_variables)


rng = np.random.default_rng(0)
corners = rng.uniform(size=(80, 2, 2, 3))
images = np.kron(corners, np.ones((1, 4, 4, 1))).astype("float32")

model = DiffusionModel(image_size, widths, block_depth)
model.normalizer.adapt(images)
print("mean", np.round(np.ravel(model.normalizer.mean), 4))
model.ema_network.set_weights(model.network.get_weights())
model.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4),
    loss_fn=keras.losses.MeanAbsoluteError(),
)
history = model.fit(images[:64], epochs=3, batch_size=batch_size,
                    validation_data=images[64:], verbose=0)
print(sorted(k for k in history.history if k != "learning_rate"))
print("n_loss", [round(v, 4) for v in history.history["n_loss"]])
print("i_loss", [round(v, 4) for v in history.history["i_loss"]])
print("val_n_loss", [round(v, 3) for v in history.history["val_n_loss"]])
made = model.generate(2, diffusion_steps=4)
print("made", made.shape, round(float(ops.mean(made)), 3), round(float(ops.std(made)), 3))
print("parameters", model.network.count_params())
print("layers", [layer.name for layer in model.layers])
