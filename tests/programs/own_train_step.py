"""A training step of one's own in Keras 3 on JAX, inside fit, with a metric for the loss."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers

loss_fn = keras.losses.SparseCategoricalCrossentropy()


class CustomModel(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="acc")

    def compute_loss_and_updates(self, trainable_variables, non_trainable_variables, x, y,
                                 training=False):
        y_pred, non_trainable_variables = self.stateless_call(
            trainable_variables, non_trainable_variables, x, training=training)
        return loss_fn(y, y_pred), (y_pred, non_trainable_variables)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        x, y = data
        grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, (y_pred, non_trainable)), grads = grad_fn(
            trainable, non_trainable, x, y, training=True)
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, grads, trainable)
        loss_vars = metrics_variables[:len(self.loss_tracker.variables)]
        acc_vars = metrics_variables[len(self.loss_tracker.variables):]
        loss_vars = self.loss_tracker.stateless_update_state(loss_vars, loss)
        acc_vars = self.accuracy.stateless_update_state(acc_vars, y, y_pred)
        logs = {self.loss_tracker.name: self.loss_tracker.stateless_result(loss_vars),
                self.accuracy.name: self.accuracy.stateless_result(acc_vars)}
        return logs, (trainable, non_trainable, optimizer_variables, loss_vars + acc_vars)

    def test_step(self, state, data):
        trainable, non_trainable, metrics_variables = state
        x, y = data
        loss, (y_pred, non_trainable) = self.compute_loss_and_updates(
            trainable, non_trainable, x, y, training=False)
        loss_vars = self.loss_tracker.stateless_update_state(metrics_variables[:2], loss)
        acc_vars = self.accuracy.stateless_update_state(metrics_variables[2:], y, y_pred)
        logs = {self.loss_tracker.name: self.loss_tracker.stateless_result(loss_vars),
                self.accuracy.name: self.accuracy.stateless_result(acc_vars)}
        return logs, (trainable, non_trainable, loss_vars + acc_vars)

    @property
    def metrics(self):
        return [self.loss_tracker, self.accuracy]


rng = np.random.default_rng(15)
x = rng.normal(size=(320, 20)).astype("float32")
y = np.argmax(x[:, :5], axis=1)

inputs = keras.Input(shape=(20,))
features = layers.Dense(32, activation="relu")(inputs)
features = layers.BatchNormalization()(features)
outputs = layers.Dense(5, activation="softmax")(features)
model = CustomModel(inputs, outputs)
model.compile(optimizer=keras.optimizers.RMSprop(0.005))
history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0)
print(sorted(name for name in history.history if name != "learning_rate"))
print("loss", [round(loss, 4) for loss in history.history["loss"]])
print("val_loss", [round(loss, 3) for loss in history.history["val_loss"]])
print("acc", round(history.history["acc"][-1], 2))
result = model.evaluate(x, y, verbose=0, return_dict=True)
print("evaluated", round(result["loss"], 3), sorted(result))


# the loss alone
class WithPenalty(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss + 0.1 * keras.ops.mean(keras.ops.square(y_pred))


inputs = keras.Input(shape=(20,))
penalized = WithPenalty(inputs, layers.Dense(1)(inputs))
penalized.compile("sgd", "mse")
history = penalized.fit(x, x[:, :1], epochs=2, verbose=0)
print("penalized", [round(loss, 4) for loss in history.history["loss"]])
