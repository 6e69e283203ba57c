"""WGAN-GP in JAX: two optimizers, a gradient penalty, a train_step of its own, images by a callback."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops

IMG_SHAPE, BATCH_SIZE, noise_dim = (8, 8, 1), 16, 6
rng = np.random.default_rng(4)
train_images = np.kron(rng.integers(0, 2, (48, 2, 2, 1)), np.ones((1, 4, 4, 1))).astype("float32")
train_images = train_images * 2 - 1


def conv_block(x, filters, activation, use_bn=False, use_dropout=False, drop_value=0.5):
    x = layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same")(x)
    if use_bn:
        x = layers.BatchNormalization()(x)
    x = activation(x)
    if use_dropout:
        x = layers.Dropout(drop_value)(x)
    return x


def get_discriminator_model():
    img_input = layers.Input(shape=IMG_SHAPE)
    x = layers.ZeroPadding2D((2, 2))(img_input)
    x = conv_block(x, 4, layers.LeakyReLU(0.2))
    x = conv_block(x, 8, layers.LeakyReLU(0.2), use_dropout=True, drop_value=0.3)
    x = layers.Flatten()(x)
    x = layers.Dense(1)(x)
    return keras.models.Model(img_input, x, name="discriminator")


def get_generator_model():
    noise = layers.Input(shape=(noise_dim,))
    x = layers.Dense(2 * 2 * 8, use_bias=False)(noise)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((2, 2, 8))(x)
    for filters in (8, 4):
        x = layers.UpSampling2D((2, 2))(x)
        x = layers.Conv2D(filters, (3, 3), padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(1, (3, 3), padding="same", activation="tanh")(x)
    return keras.models.Model(noise, x, name="generator")


class WGAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim, discriminator_extra_steps=2, gp_weight=10.0):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.d_steps = discriminator_extra_steps
        self.gp_weight = gp_weight
        self.seed_generator = keras.random.SeedGenerator(5)
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.built = True

    def compile(self, d_optimizer, g_optimizer, d_loss_fn, g_loss_fn):
        super().compile(optimizer=g_optimizer)
        self.d_optimizer = d_optimizer
        self.d_loss_fn = d_loss_fn
        self.g_loss_fn = g_loss_fn
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.d_slots = list(self.d_optimizer.variables)
        self.optimizer.build(self.generator.trainable_variables)

    @property
    def metrics(self):
        return [self.d_loss_tracker, self.g_loss_tracker]

    def split(self, values, variables):
        by_id = {id(v): value for v, value in zip(variables, values)}
        return lambda wanted: [by_id[id(v)] for v in wanted]

    def gradient_penalty(self, d_train, d_fixed, real_images, fake_images, alpha):
        interpolated = real_images + alpha * (fake_images - real_images)

        def critic(images):
            pred, _ = self.discriminator.stateless_call(d_train, d_fixed, images, training=True)
            return ops.sum(pred)

        grads = jax.grad(critic)(interpolated)
        norm = ops.sqrt(ops.sum(ops.square(grads), axis=[1, 2, 3]) + 1e-12)
        return ops.mean((norm - 1.0) ** 2)

    def train_step(self, state, data):
        trainable, fixed, g_slots, metrics = state
        real_images = data[0] if isinstance(data, tuple) else data
        batch_size = ops.shape(real_images)[0]
        get = self.split(trainable, self.trainable_variables)
        got = self.split(fixed, self.non_trainable_variables)
        D, G = self.discriminator, self.generator
        d_train, g_train = get(D.trainable_variables), get(G.trainable_variables)
        d_fixed, g_fixed = got(D.non_trainable_variables), got(G.non_trainable_variables)
        d_slots = got(self.d_slots)
        seed = got([self.seed_generator.state])[0]

        def d_objective(d_train, g_fixed, d_fixed, key):
            noise = jax.random.normal(key, (batch_size, self.latent_dim))
            fake, g_fixed = G.stateless_call(g_train, g_fixed, noise, training=True)
            fake_logits, d_fixed = D.stateless_call(d_train, d_fixed, fake, training=True)
            real_logits, d_fixed = D.stateless_call(d_train, d_fixed, real_images, training=True)
            d_cost = self.d_loss_fn(real_img=real_logits, fake_img=fake_logits)
            alpha = jax.random.uniform(jax.random.fold_in(key, 1), (batch_size, 1, 1, 1))
            gp = self.gradient_penalty(d_train, d_fixed, real_images, fake, alpha)
            return d_cost + gp * self.gp_weight, (g_fixed, d_fixed)

        key = jax.random.PRNGKey(seed[1])
        for i in range(self.d_steps):
            (d_loss, (g_fixed, d_fixed)), grads = jax.value_and_grad(d_objective, has_aux=True)(
                d_train, g_fixed, d_fixed, jax.random.fold_in(key, i)
            )
            d_train, d_slots = self.d_optimizer.stateless_apply(d_slots, grads, d_train)

        def g_objective(g_train, g_fixed, d_fixed):
            noise = jax.random.normal(jax.random.fold_in(key, 100), (batch_size, self.latent_dim))
            fake, g_fixed = G.stateless_call(g_train, g_fixed, noise, training=True)
            logits, d_fixed = D.stateless_call(d_train, d_fixed, fake, training=True)
            return self.g_loss_fn(logits), (g_fixed, d_fixed)

        (g_loss, (g_fixed, d_fixed)), grads = jax.value_and_grad(g_objective, has_aux=True)(
            g_train, g_fixed, d_fixed
        )
        g_train, g_slots = self.optimizer.stateless_apply(g_slots, grads, g_train)

        new = {}
        for variables, values in (
            (D.trainable_variables, d_train), (G.trainable_variables, g_train),
            (D.non_trainable_variables, d_fixed), (G.non_trainable_variables, g_fixed),
            (self.d_slots, d_slots), ([self.seed_generator.state], [seed + 1]),
        ):
            new.update({id(v): value for v, value in zip(variables, values)})
        with keras.StatelessScope(state_mapping=list(zip(self.metrics_variables, metrics))) as scope:
            self.d_loss_tracker.update_state(d_loss)
            self.g_loss_tracker.update_state(g_loss)
            logs = {m.name: m.result() for m in self.metrics}
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (
            [new[id(v)] for v in self.trainable_variables],
            [new[id(v)] for v in self.non_trainable_variables],
            g_slots,
            metrics,
        )


class GANMonitor(keras.callbacks.Callback):
    def __init__(self, num_img=3, latent_dim=noise_dim):
        self.num_img = num_img
        self.latent_dim = latent_dim

    def on_epoch_end(self, epoch, logs=None):
        noise = np.random.default_rng(epoch).normal(size=(self.num_img, self.latent_dim))
        generated = self.model.generator(noise.astype("float32"))
        generated = (generated * 127.5) + 127.5
        img = keras.utils.array_to_img(np.asarray(generated[0]))
        img.save(f"generated_img_{epoch}.png")
        print("epoch", epoch, img.size, round(float(ops.mean(generated)), 3))


def discriminator_loss(real_img, fake_img):
    return ops.mean(fake_img) - ops.mean(real_img)


def generator_loss(fake_img):
    return -ops.mean(fake_img)


wgan = WGAN(get_discriminator_model(), get_generator_model(), noise_dim)
wgan.compile(
    d_optimizer=keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9),
    g_optimizer=keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9),
    d_loss_fn=discriminator_loss,
    g_loss_fn=generator_loss,
)
history = wgan.fit(train_images, batch_size=BATCH_SIZE, epochs=2, callbacks=[GANMonitor()], verbose=0)
for name in ("d_loss", "g_loss"):
    print(name, [round(float(v), 3) for v in history.history[name]])
print("steps", int(wgan.d_optimizer.iterations), int(wgan.optimizer.iterations))
