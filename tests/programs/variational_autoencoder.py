"""A variational autoencoder: a layer that draws, a layer that adds its own loss."""
import keras
import numpy as np
from keras import layers, ops


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) to sample z, the vector encoding a digit."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class Divergence(layers.Layer):
    """Hands z on, and adds the divergence from the standard normal to the loss."""

    def call(self, inputs):
        z_mean, z_log_var, z = inputs
        kl = -0.5 * ops.mean(z_log_var - ops.square(z_mean) - ops.exp(z_log_var) + 1)
        self.add_loss(0.01 * kl)
        return z


latent_dim = 2
rng = np.random.default_rng(18)
hidden = rng.normal(size=(320, 2))
data = (1 / (1 + np.exp(-(hidden @ rng.normal(size=(2, 36)))))).astype("float32")

encoder_inputs = keras.Input(shape=(36,))
x = layers.Dense(16, activation="relu")(encoder_inputs)
z_mean = layers.Dense(latent_dim, name="z_mean")(x)
z_log_var = layers.Dense(latent_dim, name="z_log_var")(x)
z = Sampling()([z_mean, z_log_var])
encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")

latent_inputs = keras.Input(shape=(latent_dim,))
x = layers.Dense(16, activation="relu")(latent_inputs)
decoder_outputs = layers.Dense(36, activation="sigmoid")(x)
decoder = keras.Model(latent_inputs, decoder_outputs, name="decoder")

outputs = decoder(Divergence(name="divergence")(encoder(encoder_inputs)))
vae = keras.Model(encoder_inputs, outputs, name="vae")
vae.compile(optimizer=keras.optimizers.Adam(0.005), loss="binary_crossentropy")
history = vae.fit(data, data, epochs=4, batch_size=32, verbose=0)
print("loss", [round(loss, 4) for loss in history.history["loss"]])
print("models", [layer.name for layer in vae.layers if layer.name in ("encoder", "decoder")])
print("losses", len(vae.losses))
z_mean, _, z = encoder.predict(data[:64], verbose=0)
print(z_mean.shape, not np.allclose(z_mean, z))
print(decoder.predict(np.zeros((1, 2)), verbose=0).shape)
