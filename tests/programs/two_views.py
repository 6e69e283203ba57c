"""SimSiam and SimCLR: two encoders, steps of one's own with stateless_call, a probe."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops, regularizers

project_dim, latent_dim = 16, 8
weight_decay = 0.0005


def get_encoder():
    inputs = layers.Input((12,))
    x = layers.Rescaling(scale=2.0, offset=-1)(inputs)
    x = layers.Dense(24, activation="relu")(x)
    x = layers.Dense(
        project_dim, use_bias=False, kernel_regularizer=regularizers.l2(weight_decay)
    )(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    outputs = layers.Dense(
        project_dim, use_bias=False, kernel_regularizer=regularizers.l2(weight_decay)
    )(x)
    outputs = layers.BatchNormalization()(outputs)
    return keras.Model(inputs, outputs, name="encoder")


def get_predictor():
    return keras.Sequential(
        [
            layers.Input((project_dim,)),
            layers.Dense(
                latent_dim, use_bias=False, kernel_regularizer=regularizers.l2(weight_decay)
            ),
            layers.ReLU(),
            layers.BatchNormalization(),
            layers.Dense(project_dim),
        ],
        name="predictor",
    )


def cosine_loss(p, z):
    z = ops.stop_gradient(z)
    p = ops.normalize(p, axis=1, order=2)
    z = ops.normalize(z, axis=1, order=2)
    return -ops.mean(ops.sum((p * z), axis=1))


class SimSiam(keras.Model):
    def __init__(self, encoder, predictor):
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.loss_tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, views, training=False):
        z1 = self.encoder(views[0], training=training)
        z2 = self.encoder(views[1], training=training)
        p1 = self.predictor(z1, training=training)
        p2 = self.predictor(z2, training=training)
        return z1, z2, p1, p2

    def compute_loss_and_updates(self, trainable_variables, non_trainable_variables, data):
        (z1, z2, p1, p2), non_trainable_variables = self.stateless_call(
            trainable_variables, non_trainable_variables, data, training=True
        )
        loss = cosine_loss(p1, z2) / 2 + cosine_loss(p2, z1) / 2
        return loss, non_trainable_variables

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        (views,) = data
        grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, non_trainable), grads = grad_fn(trainable, non_trainable, views)
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, grads, trainable
        )
        metrics_variables = self.loss_tracker.stateless_update_state(metrics_variables, loss)
        logs = {"loss": self.loss_tracker.stateless_result(metrics_variables)}
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)


rng = np.random.default_rng(10)
labels = rng.integers(0, 3, 128)
x = (rng.normal(0, 0.2, (128, 12)) + np.eye(3)[labels].repeat(4, 1)).astype("float32")
views = [x + rng.normal(0, 0.1, x.shape).astype("float32") for _ in range(2)]

model = SimSiam(get_encoder(), get_predictor())
schedule = keras.optimizers.schedules.CosineDecay(0.03, decay_steps=12)
model.compile(optimizer=keras.optimizers.SGD(schedule, momentum=0.6))
early_stopping = keras.callbacks.EarlyStopping(
    monitor="loss", patience=5, restore_best_weights=True
)
history = model.fit(views, epochs=3, verbose=0, callbacks=[early_stopping])
print("loss", [round(v, 4) for v in history.history["loss"]])

backbone = keras.Model(model.encoder.input, model.encoder.get_layer(index=5).output)
backbone.trainable = False
inputs = layers.Input((12,))
outputs = layers.Dense(3, activation="softmax")(backbone(inputs, training=False))
linear_model = keras.Model(inputs, outputs, name="linear_model")
linear_model.compile(
    loss="sparse_categorical_crossentropy", metrics=["accuracy"],
    optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
)
history = linear_model.fit(x, labels, epochs=3, verbose=0)
print("probe", [round(v, 4) for v in history.history["loss"]])
print("trainable", len(linear_model.trainable_weights), len(linear_model.weights))


# contrastive, with the temperature as a weight
class ContrastiveModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [layers.Input((12,)), layers.Dense(16, activation="relu"), layers.Dense(8)], name="encoder"
        )
        self.projection_head = keras.Sequential(
            [layers.Input((8,)), layers.Dense(8, activation="relu"), layers.Dense(8)], name="head"
        )
        self.temperature = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.1), name="temperature"
        )
        self.c_acc = keras.metrics.SparseCategoricalAccuracy(name="c_acc")

    def call(self, x):
        first, second = x
        return self.projection_head(self.encoder(first)), self.projection_head(self.encoder(second))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        a, b = (ops.normalize(p, axis=1) for p in y_pred)
        similarities = ops.matmul(a, ops.transpose(b)) / self.temperature
        batch_size = ops.shape(a)[0]
        contrastive_labels = ops.arange(batch_size)
        self.c_acc.update_state(contrastive_labels, similarities)
        self.c_acc.update_state(contrastive_labels, ops.transpose(similarities))
        loss_1_2 = keras.losses.sparse_categorical_crossentropy(
            contrastive_labels, similarities, from_logits=True
        )
        loss_2_1 = keras.losses.sparse_categorical_crossentropy(
            contrastive_labels, ops.transpose(similarities), from_logits=True
        )
        return ops.mean(loss_1_2 + loss_2_1) / 2


simclr = ContrastiveModel()
simclr.compile(optimizer=keras.optimizers.Adam(1e-3))
history = simclr.fit(views, epochs=3, batch_size=32, verbose=0)
print("contrastive", [round(v, 4) for v in history.history["loss"]])
print("c_acc", round(history.history["c_acc"][-1], 2))
print("temperature", round(float(ops.convert_to_numpy(simclr.temperature)), 4))
